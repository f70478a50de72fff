// stats.hpp - for programs: what the scheduler of the current task is and has counted.
#pragma once

#include "runtimes/core/scheduler.hpp"

namespace duel {

// Every worker's or shard's counters; they live as long as the scheduler.
[[nodiscard]] inline std::vector<const counters*> all_counters() {
  return current_task()->owner.all_counters();
}

// "model=stealing driver=epoll workers=2 ...".
[[nodiscard]] inline std::string description() {
  return current_task()->owner.description();
}

}  // namespace duel
