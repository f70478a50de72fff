#include "servers/stats_file.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace duel {

namespace {

std::string temporary(const std::string& path) {
  return path + ".tmp";
}

std::unexpected<std::string> trouble(const std::string& path, int error) {
  bool is_full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  return std::unexpected(
      fmt::format("--stats-file: cannot write {}: {} ({})", path, std::strerror(error),
                  is_full ? "free space there, raise ulimit -f, or name a file elsewhere"
                          : "name a file in a directory that exists and can be written"));
}

}  // namespace

std::expected<stats_file, std::string> stats_file::open(std::string path) {
  stats_file file(std::move(path));
  if (file.path_.empty()) return file;
  // Renaming replaces what is there, which must not be a directory or, say, /dev/null.
  std::error_code ignored;
  auto there = std::filesystem::status(file.path_, ignored);
  if (std::filesystem::exists(there) && !std::filesystem::is_regular_file(there)) {
    return std::unexpected(
        fmt::format("--stats-file: {} is no regular file (name one, or a "
                    "file that does not exist yet)",
                    file.path_));
  }
  errno = 0;
  file.out_.open(temporary(file.path_), std::ios::trunc);
  if (!file.out_) return trouble(temporary(file.path_), errno ? errno : EIO);
  return file;
}

stats_file::~stats_file() {
  if (out_.is_open()) remove();
}

void stats_file::remove() noexcept {
  std::error_code ignored;
  std::filesystem::remove(temporary(path_), ignored);
}

std::expected<void, std::string> stats_file::write(const std::string& text) {
  if (path_.empty()) return {};
  errno = 0;
  out_ << text;
  out_.close();  // before the rename: some file systems find only now that they are full
  std::error_code error;
  if (!out_) {
    error.assign(errno ? errno : EIO, std::generic_category());
  } else {
    std::filesystem::rename(temporary(path_), path_, error);
  }
  if (!error) return {};
  remove();
  return trouble(path_, error.value());
}

}  // namespace duel
