// output_file.hpp - a file that is there whole or not at all: opened at once, so that a
// bad path can be known early; written beside its place and put there at the end. What is
// no plain file, such as /dev/stdout, is written in place. For duel-load and duel-sim.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

namespace duel {

class output_file {
 public:
  explicit output_file(std::string path);  // errno in error()
  ~output_file();
  output_file(const output_file&) = delete;

  bool write(std::string_view text);  // once; false: errno in error()
  [[nodiscard]] int error() const { return error_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_, draft_;  // no draft: a device, a pipe or a link
  FILE* file_ = nullptr;
  int error_ = 0;
};

}  // namespace duel
