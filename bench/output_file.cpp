#include "bench/output_file.hpp"

#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace duel {

output_file::output_file(std::string path) : path_(std::move(path)) {
  std::error_code ignored;
  // A link is written through: renaming would put a file in the place of /dev/stdout.
  auto known = std::filesystem::symlink_status(path_, ignored);
  bool is_plain = !std::filesystem::exists(known) || is_regular_file(known);
  if (is_plain) draft_ = path_ + "." + std::to_string(::getpid()) + ".part";
  file_ = std::fopen((is_plain ? draft_ : path_).c_str(), "w");
  if (!file_) error_ = errno;
}

output_file::~output_file() {
  if (file_) std::fclose(file_);
  if (!draft_.empty()) ::unlink(draft_.c_str());
}

bool output_file::write(std::string_view text) {
  bool fine = std::fwrite(text.data(), 1, text.size(), file_) == text.size();
  error_ = fine ? 0 : errno;
  if (std::fclose(file_) != 0 && fine) error_ = errno;
  file_ = nullptr;
  if (error_ == 0 && !draft_.empty() && std::rename(draft_.c_str(), path_.c_str()) != 0) {
    error_ = errno;
  }
  return error_ == 0;
}

}  // namespace duel
