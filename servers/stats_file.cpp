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
  return std::unexpected(
      fmt::format("--stats-file: cannot write {}: {} (name a file in a "
                  "directory that exists and can be written)",
                  path, std::strerror(error)));
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
  if (!out_.is_open()) return;
  out_.close();
  std::error_code ignored;
  std::filesystem::remove(temporary(path_), ignored);
}

std::expected<void, std::string> stats_file::write(const std::string& text) {
  if (path_.empty()) return {};
  errno = 0;
  out_ << text << std::flush;
  if (!out_) return trouble(temporary(path_), errno ? errno : EIO);
  std::error_code error;
  std::filesystem::rename(temporary(path_), path_, error);
  if (error) return trouble(path_, error.value());
  out_.close();
  return {};
}

}  // namespace duel
