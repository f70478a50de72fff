#include "runtimes/core/blocking_scheduler.hpp"

#include "runtimes/core/futex.hpp"
#include "runtimes/core/interrupt.hpp"
#include "runtimes/core/join_handle.hpp"

namespace duel {

// A task between to_idle() and to_running() is owed exactly one run by whoever gets
// `enqueue` from its state word: a waker, which then stores 1 in park_word, or at the
// deadline the task itself, which then stores nothing. So park_word goes 0 -> 1 at most
// once for each wait and its thread takes it back to 0 before it runs: no wake is lost,
// none is left over.
void blocking_scheduler::suspend(task& self, suspend_reason why, publication publish,
                                 time_point deadline) {
  self.waits_for = why;
  if (publish.call) publish.call(publish.context, waker::of(self));
  if (self.state.to_idle() == idle_action::none) wait_for_wake(self, deadline);
  self.state.to_running();
  counters_.add(counter::polls);
  self.waits_for = suspend_reason::none;
}

void blocking_scheduler::wait_for_wake(task& self, time_point deadline) noexcept {
  counters_.add(counter::parks);
  while (self.park_word.load(std::memory_order_acquire) == 0) {  // (K1) pairs with (K2)
    if (clock::now() >= deadline) {
      if (self.state.wake() == wake_action::enqueue) return;
      deadline = never;  // a waker was faster: its store is on the way
    }
    futex_wait(self.park_word, 0, deadline);
  }
  self.park_word.store(0,
                       std::memory_order_relaxed);  // relaxed: to_running() publishes it
  counters_.add(counter::wake_ups);
}

void blocking_scheduler::wake(task& t) noexcept {
  if (t.state.wake() == wake_action::enqueue) {
    t.park_word.store(1, std::memory_order_release);  // (K2) pairs with (K1)
    futex_wake_one(t.park_word);
  }
}

void blocking_scheduler::cancel(task& t) noexcept {
  if (t.state.cancel() == wake_action::enqueue) {
    t.park_word.store(1, std::memory_order_release);  // (K2) pairs with (K1)
    futex_wake_one(t.park_word);
  }
  interrupt(t, is_cut());
}

// A task linked after the loop took the lock after note_stop(), and so sees it stopping.
void blocking_scheduler::stop(stop_mode mode) {
  stop_scope under_way(*this);
  note_stop(mode);
  std::lock_guard lock(mutex_);
  live_.for_each([this](task& t) { cancel(t); });
}

void blocking_scheduler::release(task& t) noexcept {
  if (t.state.drop_reference() == drop_action::free_task) delete &t;
}

void blocking_scheduler::yield(task&) {
  sync::yield_thread();
}

std::size_t blocking_scheduler::live_tasks() const noexcept {
  std::lock_guard lock(mutex_);
  return live_count_;
}

void blocking_scheduler::link(task& t) {
  counters_.add(counter::spawns);
  std::lock_guard lock(mutex_);
  live_.push_back(t);
  ++live_count_;
}

void blocking_scheduler::unlink(task& t) noexcept {
  std::lock_guard lock(mutex_);
  t.unlink();
  --live_count_;
}

void blocking_scheduler::run_linked(task& t) noexcept {
  task* below = current_task();  // serial: the task that spawned this one
  t.state.to_running();
  counters_.add(counter::polls);
  set_current_task(&t);
  t.run_body();
  unlink(t);
  complete_task(t);
  release(t);
  set_current_task(below);
}

}  // namespace duel
