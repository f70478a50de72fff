// time_ledger.hpp - where a worker's or shard's time goes: asleep, searching, or else
// busy.
//
// One look at the clock for each change of state; a worker that is busy all the time pays
// nothing. Its thread only. Busy time is running_ns less the other two; running_ns is
// brought up to date at every change.
#pragma once

#include "runtimes/core/clock.hpp"
#include "runtimes/core/counters.hpp"

namespace duel {

class time_ledger {
 public:
  explicit time_ledger(counters& book) noexcept : book_(book) {}

  // The loop begins, or the thread is busy again.
  void to_busy() noexcept { change(false, counter::idle_ns); }
  void to_idle() noexcept { change(true, counter::idle_ns); }
  void to_searching() noexcept { change(true, counter::searching_ns); }

 private:
  void change(bool booked, counter account) noexcept {
    if (!counters_enabled) return;
    auto now = clock::now();
    if (since_ != time_point()) {
      auto ns = static_cast<std::uint64_t>(duration(now - since_).count());
      book_.add(counter::running_ns, ns);
      if (booked_) book_.add(account_, ns);
    }
    since_ = now;
    booked_ = booked;
    account_ = account;
  }

  counters& book_;
  time_point since_{};
  bool booked_ = false;
  counter account_ = counter::idle_ns;
};

}  // namespace duel
