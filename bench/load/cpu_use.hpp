// cpu_use.hpp - how much of a CPU the calling thread had, and how long it wanted one and
// waited: a loader that is put off by others sees answers as late as one that computes.
#pragma once

#include <optional>

#include "bench/load/clock.hpp"

namespace duel::load {

struct cpu_use {
  double wall_s = 0, cpu_s = 0;
  std::optional<double> wait_s;  // runnable and not running; where the kernel tells

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

}  // namespace duel::load
