// deadline_models.cpp - deadlines of sockets and who keeps them.
#include <memory>
#include <mutex>

#include "runtimes/core/futex.hpp"
#include "runtimes/core/timer.hpp"
#include "runtimes/explore/models/parts.hpp"
#include "runtimes/stealing/timers.hpp"

namespace duel::explore {

namespace {

using std::chrono::milliseconds;

// Keeps one timer, under a lock; time is what the model says.
class hand_clock final : public timer_service {
 public:
  void arm(timer& t, time_point when) noexcept override {
    std::lock_guard lock(mutex_);
    filed_ = &t;
    when_ = when;
  }
  void disarm(timer&) noexcept override {
    std::lock_guard lock(mutex_);
    filed_ = nullptr;
  }
  void advance(time_point now) noexcept {
    std::lock_guard lock(mutex_);
    timer* t = filed_;
    if (!t || when_ > now) return;
    filed_ = nullptr;
    if (auto again = t->fire(*t, now); again != never) {
      filed_ = t;
      when_ = again;
    }
  }

 private:
  sync::mutex mutex_;
  sync::plain<timer*> filed_ = nullptr;
  time_point when_ = never;
};

void ring(void* word) noexcept {
  auto& times = *static_cast<sync::atomic<unsigned>*>(word);
  times.fetch_add(1, std::memory_order_relaxed);  // relaxed: a count
}

const time_point start = time_point(std::chrono::hours(1));

// The deadline moves to a later time as the old one expires: it has a filed timer at the
// end, whoever of the two files it.
void set_beside_expiry() {
  hand_clock wheel;
  sync::atomic<unsigned> expired{0};
  {
    deadline_timer deadline(wheel, &ring, &expired);
    deadline.set(start + milliseconds(10));
    sync::jthread clockwork([&] { wheel.advance(start + milliseconds(10)); });
    deadline.set(start + milliseconds(20));
    clockwork.join();
    auto before = expired.load();
    before > 0 ? reached("expired before") : reached("moved before");
    wheel.advance(start + milliseconds(20));
    require(expired.load() == before + 1, "the later deadline has a timer");
    wheel.advance(start + milliseconds(30));
    require(expired.load() == before + 1, "and expires once");
  }
}

// To an earlier time.
void set_earlier_beside_expiry() {
  hand_clock wheel;
  sync::atomic<unsigned> expired{0};
  deadline_timer deadline(wheel, &ring, &expired);
  deadline.set(start + milliseconds(10));
  deadline.set(start + milliseconds(30));
  sync::jthread clockwork([&] { wheel.advance(start + milliseconds(10)); });
  deadline.set(start + milliseconds(20));
  clockwork.join();
  wheel.advance(start + milliseconds(20));
  require(expired.load() == 1, "the earlier deadline has a timer");
}

// The waiter that publishes itself after set() either sees that it has expired, or is
// seen by the expiry.
void expiry_beside_waiter() {
  hand_clock wheel;
  struct waiting {
    sync::atomic<bool> is_published{false};
    sync::atomic<std::uint32_t> word{0};
  } waiter;
  auto expire = [](void* context) noexcept {
    auto& w = *static_cast<waiting*>(context);
    if (!w.is_published.load()) return;
    w.word.exchange(1);
    futex_wake_one(w.word);
  };
  deadline_timer deadline(wheel, expire, &waiter);
  deadline.set(start + milliseconds(10));
  sync::jthread clockwork([&] { wheel.advance(start + milliseconds(10)); });
  waiter.is_published.store(true);
  if (deadline.has_expired()) {
    reached("sees it");
  } else {
    reached("sleeps");
    while (waiter.word.load() == 0) futex_wait(waiter.word, 0);
  }
}

// A socket closes as its deadline comes: what expire() uses outlives it.
void destroyed_beside_expiry() {
  hand_clock wheel;
  auto context = std::make_unique<sync::atomic<unsigned>>(0);
  auto deadline = std::make_unique<deadline_timer>(wheel, &ring, context.get());
  deadline->set(start + milliseconds(10));
  sync::jthread clockwork([&] { wheel.advance(start + milliseconds(10)); });
  deadline.reset();
  context->load() > 0 ? reached("expired") : reached("disarmed");
  context.reset();
}

// --- the wheel under a lock ------------------------------------------------------------

// As a driver in which the keeper of the clock sleeps.
struct sleeper {
  sync::atomic<std::uint32_t> bell{0};
  void interrupt() {
    bell.exchange(1);
    futex_wake_one(bell);
  }
  // Until a timer has fired.
  void keep(stealing::timers& wheel, const sync::atomic<bool>& fired) {
    while (!fired.load()) {
      auto until = wheel.begin_sleep(7);
      if (until > clock::now()) futex_wait(bell, 0, until);
      bell.exchange(0);
      wheel.end_of_sleep();
      wheel.fire_due();
    }
  }
};

struct alarm final : timer {
  alarm() noexcept : timer(&on_fire) {}
  static time_point on_fire(timer& t, time_point) noexcept {
    auto& self = static_cast<alarm&>(t);
    self.fired.store(true);
    self.runs = self.runs + 1;  // it is still used
    return never;
  }
  sync::plain<int> runs{0};
  sync::atomic<bool> fired{false};
};

// The poller does not sleep past a timer that is new.
void arm_beside_sleep() {
  sleeper poller;
  unsigned interrupts = 0;
  stealing::timers wheel([&](unsigned who) {
    require(who == 7, "it is the sleeper who is interrupted");
    ++interrupts;
    poller.interrupt();
  });
  alarm soon;
  sync::jthread keeper([&] { poller.keep(wheel, soon.fired); });
  wheel.arm(soon, clock::now() + milliseconds(5));
  keeper.join();
  require(soon.runs == 1, "it fires once");
  require(interrupts <= 1, "one interrupt is enough");
  interrupts == 0 ? reached("filed before") : reached("interrupted");
}

// Two new timers and one interrupt.
void two_arms() {
  sleeper poller;
  unsigned interrupts = 0;
  stealing::timers wheel([&](unsigned) {
    ++interrupts;
    poller.interrupt();
  });
  alarm soon, later;
  sync::jthread keeper([&] {
    poller.keep(wheel, soon.fired);
    poller.keep(wheel, later.fired);
  });
  sync::jthread other([&] { wheel.arm(later, clock::now() + milliseconds(9)); });
  wheel.arm(soon, clock::now() + milliseconds(5));
  other.join();
  keeper.join();
  require(soon.runs == 1 && later.runs == 1, "each fires once");
}

// After disarm() a timer may go.
void disarm_beside_fire() {
  sleeper poller;
  stealing::timers wheel([&](unsigned) { poller.interrupt(); });
  alarm end;
  auto one = std::make_unique<alarm>();
  wheel.arm(*one, clock::now() + milliseconds(5));
  wheel.arm(end, clock::now() + milliseconds(5));
  sync::jthread keeper([&] { poller.keep(wheel, end.fired); });
  poller.interrupt();
  if (one->fired.load()) reached("fires");
  wheel.disarm(*one);
  one->runs == 1 ? reached("fired") : reached("disarmed");
  one.reset();
}

}  // namespace

void add_deadline_models(std::vector<model>& to) {
  to.push_back({.name = "deadline/set_beside_expiry",
                .summary = "a deadline that moves as it expires has a filed timer",
                .body = &set_beside_expiry,
                .outcomes = {"expired before", "moved before"}});
  to.push_back({.name = "deadline/set_earlier_beside_expiry",
                .summary = "also one that moves to an earlier time",
                .body = &set_earlier_beside_expiry});
  to.push_back({.name = "deadline/expiry_beside_waiter",
                .summary = "a waiter sees the expiry, or is seen by it",
                .body = &expiry_beside_waiter,
                .outcomes = {"sees it", "sleeps"}});
  to.push_back({.name = "deadline/destroyed_beside_expiry",
                .summary = "a deadline that is gone does not expire",
                .body = &destroyed_beside_expiry,
                .outcomes = {"expired", "disarmed"}});
  to.push_back({.name = "timers/arm_beside_sleep",
                .summary = "the poller does not sleep past a new timer",
                .body = &arm_beside_sleep,
                .outcomes = {"filed before", "interrupted"}});
  to.push_back({.name = "timers/two_arms",
                .summary = "nor past two",
                .body = &two_arms,
                .bound = 2});
  to.push_back({.name = "timers/disarm_beside_fire",
                .summary = "a timer does not fire once disarm() has returned",
                .body = &disarm_beside_fire,
                .outcomes = {"fires", "fired", "disarmed"}});
}

}  // namespace duel::explore
