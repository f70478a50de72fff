// How long until a task has run that a thread outside the scheduler wakes?
//
// An item is: wake the task, wait until it has run, wait until its worker goes to sleep
// again. So every wake finds the task suspended and the worker asleep, and pays for a
// system call.
#include <atomic>
#include <thread>

#include "bench/micro/bench.hpp"
#include "runtimes/api/stats.hpp"
#include "runtimes/core/suspend.hpp"

namespace duel::micro {
namespace {

struct meeting {
  std::vector<const counters*> workers;
  std::atomic<task*> asleep{nullptr};  // owns a reference: the suspended task's waker
  std::atomic<std::int64_t> called{0}, answered{0};

  [[nodiscard]] std::uint64_t parks() const {
    std::uint64_t sum = 0;
    for (auto* w : workers) sum += w->get(counter::parks);
    return sum;
  }
  void call(std::int64_t times) {  // the foreign thread
    for (std::int64_t i = 1; i <= times; ++i) {
      task* sleeper;
      while (!(sleeper = asleep.exchange(nullptr))) std::this_thread::yield();
      auto parked = parks();
      called.store(i);
      waker::adopt(*sleeper).wake();
      while (answered.load() < i) std::this_thread::yield();
      while (i < times && parks() == parked) std::this_thread::yield();
    }
  }
  void answer(std::int64_t times) {  // the task
    for (std::int64_t i = 1; i <= times; ++i) {
      while (called.load() < i) {
        suspend(suspend_reason::event, [&](waker w) {
          if (task* unused = asleep.exchange(w.release())) waker::adopt(*unused).reset();
        });
      }
      answered.store(i);
    }
  }
};

void wake_from_outside(trial& in) {
  measure(in, 1, [](std::int64_t n) {
    meeting m{.workers = all_counters()};
    std::thread foreign([&] { m.call(n); });
    m.answer(n);
    foreign.join();
    return m.answered.load();
  });
}

}  // namespace

void add_wake_remote() {
  add("wake_remote", every_model, &wake_from_outside);
}

}  // namespace duel::micro
