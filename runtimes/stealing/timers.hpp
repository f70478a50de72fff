// timers.hpp - the scheduler's one timer wheel, under a lock, served by whoever polls.
//
// One wheel for all workers: a timer fires although the worker that armed it is busy. The
// price is a lock per arm and disarm; deadlines of sockets avoid it (deadline_timer).
//
// (X1) with (X2): arm() files the timer, then looks whether the poller sleeps longer; the
// poller announces how long it will sleep before it sleeps. Both under the lock.
#pragma once

#include <functional>
#include <mutex>

#include "runtimes/core/sync.hpp"
#include "runtimes/core/timer_wheel.hpp"

namespace duel::stealing {

class timers final : public timer_service {
 public:
  // `interrupt(sleeper)` ends the poll that sleeps past a new timer.
  explicit timers(std::move_only_function<void(unsigned)> interrupt) noexcept
      : interrupt_(std::move(interrupt)) {}

  void arm(timer& t, time_point when) noexcept override {
    std::lock_guard lock(mutex_);
    wheel_.remove(t);
    wheel_.insert(t, when);
    // relaxed: written under mutex_; read elsewhere as a hint, see fire_due()
    if (when < next_.load(std::memory_order_relaxed)) {
      next_.store(when, std::memory_order_relaxed);  // relaxed: as above
    }
    if (when >= sleeps_until_) return;  // (X1)
    sleeps_until_ = time_point::min();  // one interrupt is enough
    interrupt_(sleeper_);
  }

  void disarm(timer& t) noexcept override {
    std::lock_guard lock(mutex_);
    wheel_.remove(t);
  }

  // Fires what is due. Cheap when nothing can be: one load, or one look at the clock.
  void fire_due() noexcept {
    // relaxed: a missed newer timer is fired by the next call; the poller asks under the
    // lock.
    auto next = next_.load(std::memory_order_relaxed);
    if (next == never) return;
    auto now = clock::now();
    if (next > now) return;
    std::lock_guard lock(mutex_);
    wheel_.advance(now);
    next_.store(wheel_.next_event(), std::memory_order_relaxed);  // relaxed: as above
  }

  // `sleeper`, the one who keeps the clock, is about to sleep: until when it may. Pair
  // with end_of_sleep().
  [[nodiscard]] time_point begin_sleep(unsigned sleeper) noexcept {
    std::lock_guard lock(mutex_);
    sleeper_ = sleeper;
    return sleeps_until_ = wheel_.next_event();  // (X2)
  }
  void end_of_sleep() noexcept {
    std::lock_guard lock(mutex_);
    sleeps_until_ = time_point::min();
  }

 private:
  std::move_only_function<void(unsigned)> interrupt_;
  sync::mutex mutex_;  // guards what follows; next_ for writing
  timer_wheel wheel_{clock::now()};
  time_point sleeps_until_ = time_point::min();  // min: nobody sleeps
  unsigned sleeper_ = 0;                         // else who
  sync::atomic<time_point> next_{never};         // the wheel's next event
};

}  // namespace duel::stealing
