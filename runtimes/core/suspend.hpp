// suspend.hpp - how the running task gives up its thread. For api, drivers and sync primitives.
//
// Every wait is a loop over its condition: suspend() may return early.
#pragma once

#include <concepts>

#include "runtimes/core/scheduler.hpp"

namespace duel {

// Suspends the running task. `publish(waker)` runs after the task is saved; see publication.
template <std::invocable<waker> Publish>
void suspend(suspend_reason why, Publish&& publish, time_point deadline = never) {
  task& self = *current_task();
  auto call = [](void* context, waker w) {
    (*static_cast<std::remove_reference_t<Publish>*>(context))(std::move(w));
  };
  self.owner.suspend(self, why, {call, &publish}, deadline);
}

// For a task whose waker is already where it belongs: a wake that comes before the switch is
// remembered in the state word.
inline void suspend(suspend_reason why, time_point deadline = never) {
  task& self = *current_task();
  self.owner.suspend(self, why, {}, deadline);
}

// Whether the current task has been asked to finish. Waits return operation_canceled then.
[[nodiscard]] inline bool is_cancelled(const task& self) noexcept {
  if (self.shield > 0) return self.owner.is_cut();
  return self.owner.is_draining() || self.state.is_cancelled();
}

// While one lives, the current task does not see a cancellation (a cut it does): it finishes
// what it has begun. The unit of work that a drain must not tear.
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
