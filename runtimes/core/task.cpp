// task.cpp - what waker, join_handle and the completing thread do with a task.
#include "runtimes/core/task.hpp"

#include "runtimes/core/join_handle.hpp"

namespace duel {

constinit thread_local task* detail::running_task = nullptr;

task* current_task() noexcept {
  asm volatile("");  // keeps the call from being folded as a pure function
  return detail::running_task;
}

waker waker::of(task& t) noexcept {
  t.state.add_reference();
  return waker(&t);
}

void waker::wake() && noexcept {
  wake_by_ref();
  reset();
}

void waker::wake_by_ref() const noexcept {
  if (task_) task_->owner.wake(*task_);
}

void waker::reset() noexcept {
  if (task* t = std::exchange(task_, nullptr)) t->owner.release(*t);
}

void complete_task(task& t) noexcept {
  completion end = t.state.to_complete(/*has_result=*/true);
  if (!end.done) {
    t.drop_result();
    end = t.state.to_complete(/*has_result=*/false);
  }
  if (!end.join_waker) return;
  t.join_cell.wake_by_ref();
  if (t.state.unset_join_waker_after_complete()) t.join_cell.reset();
}

void await_completion(task& t) {
  if (t.state.is_complete()) return;
  t.join_cell = waker::of(*current_task());
  if (!t.state.set_join_waker()) return;  // complete: leave_result() drops the waker
  while (!t.state.is_complete()) suspend(suspend_reason::join);
}

void leave_result(task& t) noexcept {
  detachment owed = t.state.drop_join_interest();
  if (owed.drop_result) t.drop_result();
  if (owed.drop_waker) t.join_cell.reset();
  t.owner.release(t);
}

void detach_before_start(task& t) noexcept {
  (void)t.state.drop_join_interest();
  (void)t.state.drop_reference();  // the life reference remains
}

task& make_main_task(scheduler& owner, std::move_only_function<void()> main,
                     std::exception_ptr& failure) {
  auto guarded = [main = std::move(main), &failure]() mutable {
    try {
      main();
    } catch (...) {
      failure = std::current_exception();
    }
  };
  auto* t = new detail::task_of<decltype(guarded)>(owner, std::move(guarded));
  detach_before_start(*t);
  return *t;
}

}  // namespace duel
