// timer.hpp - something that happens at a time: the timer, and who keeps it.
//
// A timer belongs to its creator and must be disarmed before it dies. A timer_service
// belongs to a scheduler (stealing: one wheel under a lock; sharded: one per shard, no
// lock).
#pragma once

#include "runtimes/core/clock.hpp"
#include "runtimes/core/intrusive_list.hpp"
#include "runtimes/core/sync.hpp"

namespace duel {

struct timer : list_hook {
  // Called once per expiry by the service, under the service's lock if it has one: it may
  // wake tasks, and must neither wait nor arm or disarm. Returns the time at which the
  // timer wants to be called again, or `never`.
  using fire_fn = time_point (*)(timer&, time_point now) noexcept;

  explicit timer(fire_fn on_fire) noexcept : fire(on_fire) {}

  const fire_fn fire;
  unsigned level = 0, slot = 0;  // where the wheel filed it; the service only
  time_point when = never;       // when the wheel will look at it; the service only
};

class timer_service {
 public:
  // Any task of the scheduler. Re-arming moves the timer.
  virtual void arm(timer& t, time_point when) noexcept = 0;
  // On return `fire` is not running and will not run. No effect on an unarmed timer.
  virtual void disarm(timer& t) noexcept = 0;

 protected:
  ~timer_service() = default;
};

// The deadline of a socket's reads or writes: set for every wait, almost never reached.
// Moving it later is one store; the wheel looks at the timer when the old time has come
// and files it again (the keep-alive trick of Tokio's wheel).
//
// One task at a time calls set(); expiry runs concurrently.
// (T1) with (T2): set() stores the deadline, then reads `filed_`; expiry stores `filed_`,
// then reads the deadline. Both seq_cst, so at least one of the two sees the other, and a
// deadline is never left without a filed timer.
class deadline_timer {
 public:
  using expire_fn = void (*)(void* context) noexcept;

  // `expire(context)` is called when a deadline has passed; it wakes whoever waits.
  deadline_timer(timer_service& service, expire_fn expire, void* context) noexcept
      : alarm_(*this), service_(service), expire_(expire), context_(context) {}
  ~deadline_timer() {
    if (used_) service_.disarm(alarm_);
  }

  void set(time_point deadline) noexcept {
    // relaxed: written here only. The clock of deadlines ticks slowly, many are the same.
    if (deadline_.load(std::memory_order_relaxed) != deadline) {
      deadline_.store(deadline, std::memory_order_seq_cst);  // (T1)
    }
    if (deadline >= filed_.load(std::memory_order_seq_cst)) return;  // (T1)
    used_ = true;
    filed_.store(deadline, std::memory_order_seq_cst);
    service_.arm(alarm_, deadline);
  }
  // After set(): the deadline has passed and expire() has been called, or is about to be.
  // For the waiter that publishes itself only then.
  [[nodiscard]] bool has_expired() const noexcept {
    return filed_.load(std::memory_order_seq_cst) == never;
  }

 private:
  struct alarm : timer {
    explicit alarm(deadline_timer& of) noexcept : timer(&on_fire), owner(of) {}
    deadline_timer& owner;
  };
  static time_point on_fire(timer& t, time_point now) noexcept {
    auto& self = static_cast<alarm&>(t).owner;
    self.filed_.store(never, std::memory_order_seq_cst);                   // (T2)
    time_point deadline = self.deadline_.load(std::memory_order_seq_cst);  // (T2)
    if (deadline <= now) {
      self.expire_(self.context_);
      return never;
    }
    self.filed_.store(deadline, std::memory_order_seq_cst);
    return deadline;
  }

  // First what every wait touches: one line of a socket's record.
  sync::atomic<time_point> deadline_{never};  // written by set(), read by expiry
  sync::atomic<time_point> filed_{never};     // when expiry will next look
  bool used_ = false;                         // the setting task only
  alarm alarm_;
  timer_service& service_;
  const expire_fn expire_;
  void* const context_;
};

}  // namespace duel
