// count.hpp - for programs: add to the counters of the worker that runs the current task.
#pragma once

#include "runtimes/core/scheduler.hpp"

namespace duel {

inline void count(counter c, std::uint64_t n = 1) noexcept {
  current_task()->owner.local_counters().add(c, n);
}

}  // namespace duel
