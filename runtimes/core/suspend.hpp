// suspend.hpp - how the running task gives up its thread. For api, drivers and sync
// primitives.
//
// Every wait is a loop over its condition: suspend() may return early.
#pragma once

#include <concepts>

#include "runtimes/core/scheduler.hpp"
#include "runtimes/core/step.hpp"

namespace duel {

// A fiber that its scheduler can find leaves its stack right here, inlined into the
// function that waits: after a switch the processor mispredicts every return on the way
// up, 13 ns each on the reference machine, so the seam's virtual call would cost more
// than the switch does.
[[gnu::always_inline]] inline void suspend(task& self, suspend_reason why,
                                           publication publish, time_point deadline) {
  if (self.is_listed && deadline == never) return switch_out_to_wait(self, why, publish);
  self.owner.suspend(self, why, publish, deadline);
}

// Suspends the running task. `publish(waker)` runs after the task is saved; see
// publication.
template <std::invocable<waker> Publish>
[[gnu::always_inline]] inline void suspend(suspend_reason why, Publish&& publish,
                                           time_point deadline = never) {
  auto call = [](void* context, waker w) {
    (*static_cast<std::remove_reference_t<Publish>*>(context))(std::move(w));
  };
  suspend(*current_task(), why, {call, &publish}, deadline);
}

// For a task whose waker is already where it belongs: a wake that comes before the switch
// is remembered in the state word.
[[gnu::always_inline]] inline void suspend(suspend_reason why,
                                           time_point deadline = never) {
  suspend(*current_task(), why, {}, deadline);
}

// Every other runnable task of this worker, shard or process goes first.
[[gnu::always_inline]] inline void yield(task& self) {
  if (self.is_fiber()) return switch_out_to_yield(self);
  self.owner.yield(self);
}

// Whether the current task has been asked to finish. Waits return operation_canceled
// then.
[[nodiscard]] inline bool is_cancelled(const task& self) noexcept {
  if (self.shield > 0) return self.owner.is_cut();
  return self.owner.is_draining() || self.state.is_cancelled();
}

// While one lives, the current task does not see a cancellation (a cut it does): it
// finishes what it has begun. The unit of work that a drain must not tear.
class shield_scope {
 public:
  shield_scope() noexcept : self_(*current_task()) { ++self_.shield; }
  ~shield_scope() { --self_.shield; }
  shield_scope(const shield_scope&) = delete;
  shield_scope& operator=(const shield_scope&) = delete;

 private:
  task& self_;
};

}  // namespace duel
