// table.hpp - what an exploration prints: a line a model and memory, totals, and what
// they do and do not mean.
#pragma once

#include <string>

#include "runtimes/explore/models.hpp"

namespace duel::explore {

// 1234567 as 1,234,567.
[[nodiscard]] std::string grouped(std::uint64_t n);
[[nodiscard]] double seconds(std::chrono::nanoseconds t);
[[nodiscard]] const char* name_of(std::memory_order order) noexcept;
[[nodiscard]] const char* name_of(step_kind k) noexcept;

class table {
 public:
  explicit table(const std::vector<model>& models);
  // On a terminal, what is under way and the time left, until the next line.
  void show_progress(const model& m, memory_model memory);
  void add(const model& m, const verdict& v, bool is_drawn);
  void finish(bool is_drawn);

 private:
  void clear_progress();
  std::size_t name_width_ = 0;
  unsigned runs_ = 0, done_ = 0, failed_ = 0;
  std::uint64_t executions_ = 0, steps_ = 0;
  std::chrono::nanoseconds took_{};
  bool on_terminal_;
};

void list(const std::vector<model>& models);

// What the verdicts claim, and what they do not.
[[nodiscard]] std::string statement();

}  // namespace duel::explore
