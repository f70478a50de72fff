// cpu_use.hpp - how much of a CPU the calling thread had, and how long it wanted one and
// waited: a loader that is put off by others sees answers as late as one that computes.
#pragma once

#include <optional>

#include "bench/load/clock.hpp"

namespace duel::load {

struct cpu_use {
  double wall_s = 0, cpu_s = 0;
  std::optional<double> wait_s;  // runnable and not running; where the kernel tells
  std::optional<ns> slice;       // what ask_for_slice() was granted

  [[nodiscard]] double share() const { return wall_s > 0 ? cpu_s / wall_s : 0; }
  [[nodiscard]] double wait_share() const {
    return wall_s > 0 ? wait_s.value_or(0) / wall_s : 0;
  }
};

// Reads nothing before it is started.
class cpu_meter {
 public:
  void start();
  [[nodiscard]] cpu_use read() const;

 private:
  ns wall_ = never, cpu_ = 0;
  std::optional<ns> wait_;
};

// Asks the kernel to give the calling thread CPU time in pieces of this length, 0.1 to
// 100 ms. Its share stays the same, but when it wakes it may preempt at once a thread
// with longer pieces, and need not wait until that one's is used up (EEVDF, Linux 6.12).
// The length; or nothing: an older kernel, or a policy other than SCHED_OTHER.
[[nodiscard]] std::optional<ns> ask_for_slice(ns length);

}  // namespace duel::load
