// time_ledger.hpp - where a worker's or shard's time goes: asleep, searching, or else
// busy.
//
// One look at the clock for each change of state, and one for every 16 steps of tasks,
// because a look costs as much as switching to a task does. So the longest step is known
// give or take 15 others: exactly enough to find the one that held up the rest. Its
// thread only. Busy time is running_ns less the other two; running_ns is brought up to
// date at every change.
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
  // A step of a task has ended.
  void count_step() noexcept {
    if (!counters_enabled || --steps_to_look_ > 0) return;
    note_busy_until(clock::now());
  }

 private:
  static constexpr unsigned steps_per_look = 16;

  void note_busy_until(time_point now) noexcept {
    if (auto took = now - looked_; took > longest_) {
      longest_ = took;
      book_.raise(counter::longest_poll_ns, static_cast<std::uint64_t>(took.count()));
    }
    looked_ = now;
    steps_to_look_ = steps_per_look;
  }
  void change(bool booked, counter account) noexcept {
    if (!counters_enabled) return;
    auto now = clock::now();
    if (since_ != time_point()) {
      auto ns = static_cast<std::uint64_t>(duration(now - since_).count());
      book_.add(counter::running_ns, ns);
      booked_ ? book_.add(account_, ns) : note_busy_until(now);
    }
    looked_ = since_ = now;
    steps_to_look_ = steps_per_look;
    booked_ = booked;
    account_ = account;
  }

  counters& book_;
  time_point since_{};
  time_point looked_{};
  duration longest_{};
  unsigned steps_to_look_ = steps_per_look;
  bool booked_ = false;
  counter account_ = counter::idle_ns;
};

}  // namespace duel
