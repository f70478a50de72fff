// step.hpp - one step of a fiber task: switch in, run until it waits, switch out.
//
// Shared by the two fiber models. A task becomes resumable here, on the scheduler's stack
// after the switch out, so that no thread can resume a fiber whose registers are not yet
// saved. Only its completion, after which nobody resumes it, happens on its own stack.
#pragma once

#include "runtimes/core/task.hpp"

namespace duel {

// Operations a task may complete without waiting before it has to yield: Tokio's number.
inline constexpr std::uint16_t default_budget = 128;

enum class step_end {
  finished,  // complete: the caller gives the life reference back
  queued,    // it yielded or has been woken: the caller puts it at the back of its queue
  waiting,   // it may already run elsewhere: the caller forgets it
};

inline void body_of_task(void* self) noexcept {
  auto& t = *static_cast<task*>(self);
  t.run_body();
  complete_task(t);
}

// A task that yields stays in the running state: its queue entry is the only way to it,
// so nobody else can start it, and a wake meanwhile is remembered as for any running
// task. That saves two of the three RMWs of a yield.
//
// Requires a task from a queue. Out of stacks, the task fails with that error instead.
[[nodiscard, gnu::always_inline]] inline step_end run_step(
    task& t, stack_cache& stacks, std::uint16_t budget) noexcept {
  if (!std::exchange(t.yields, false)) t.state.to_running();
  t.budget = budget;
  set_current_task(&t);
  if (!t.context.is_prepared()) {
    try {
      t.context.prepare(stacks.take(), &body_of_task, &t);
    } catch (...) {
      t.fail(std::current_exception());
      complete_task(t);
      set_current_task(nullptr);
      return step_end::finished;
    }
  }
  bool finished = t.context.resume();
  set_current_task(nullptr);
  if (finished) {
    stacks.give_back(t.context.release_stack());
    return step_end::finished;
  }
  if (t.yields) return step_end::queued;
  if (auto publish = std::exchange(t.publish, {}); publish.call) {
    publish.call(publish.context, waker::of(t));
  }
  return t.state.to_idle() == idle_action::enqueue ? step_end::queued : step_end::waiting;
}

// Fiber side of the same: leaves the stack and returns at the next step.
[[gnu::always_inline]] inline void switch_out_to_wait(task& self, suspend_reason why,
                                                      publication publish) noexcept {
  self.waits_for = why;
  self.publish = publish;
  self.context.suspend();
  self.waits_for = suspend_reason::none;
}

[[gnu::always_inline]] inline void switch_out_to_yield(task& self) noexcept {
  self.yields = true;
  self.context.suspend();
}

}  // namespace duel
