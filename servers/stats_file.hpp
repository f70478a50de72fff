// stats_file.hpp - a file that appears whole or not at all: written beside, then renamed.
#pragma once

#include <expected>
#include <fstream>
#include <string>

namespace duel {

class stats_file {
 public:
  // Creates "PATH.tmp", so that an unwritable place is found at start. Empty path: no
  // file, and write() does nothing. The error says what to do.
  [[nodiscard]] static std::expected<stats_file, std::string> open(std::string path);
  stats_file(stats_file&& other) noexcept = default;
  ~stats_file();  // removes what was not written

  [[nodiscard]] std::expected<void, std::string> write(const std::string& text);

 private:
  explicit stats_file(std::string path) : path_(std::move(path)) {}
  void remove() noexcept;

  std::string path_;
  std::ofstream out_;  // open: the temporary file exists and is not in its place
};

}  // namespace duel
