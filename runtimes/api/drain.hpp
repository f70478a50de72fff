// drain.hpp - for programs: whether this task should say goodbye after what it is doing.
#pragma once

#include "runtimes/core/suspend.hpp"

namespace duel {

// True once the scheduler drains or the current task is cancelled, also inside a
// shield_scope (where is_cancelled() still says false): a server closes after the answer
// in hand.
[[nodiscard]] inline bool is_draining() noexcept {
  task& self = *current_task();
  return self.owner.is_draining() || self.state.is_cancelled();
}

}  // namespace duel
