// task.hpp - for programs: spawn, join, yield, cancellation. Usable inside any task.
#pragma once

#include <memory>

#include "runtimes/core/join_handle.hpp"

namespace duel {

// Lets every other runnable task of this worker or shard go first.
[[gnu::always_inline]] inline void yield() {
  yield(*current_task());
}

// True once the current task should finish: its waits fail with operation_canceled.
[[nodiscard]] inline bool is_cancelled() noexcept {
  return is_cancelled(*current_task());
}

// Runs body() as a detached task at a home of the current scheduler (scheduler::homes()).
template <class Body>
void spawn_at(unsigned home, Body&& body) {
  scheduler& owner = current_task()->owner;
  using callable = std::decay_t<Body>;
  auto t = std::make_unique<detail::task_of<callable>>(owner, std::forward<Body>(body));
  detach_before_start(*t);
  owner.spawn_at(home, *t);
  (void)t.release();  // it owns itself now
}

}  // namespace duel
