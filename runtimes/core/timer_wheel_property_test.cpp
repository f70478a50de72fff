// Random histories of the wheel against a sorted multimap: a timer fires once, never
// early, at most a tick late, and the wheel knows when it will next have something to do.
#include "runtimes/core/timer_wheel.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <map>
#include <ostream>
#include <vector>

namespace duel {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t timers = 12;
enum class what { arm, rearm_when_fired, disarm, advance, jump };

struct step {
  what kind;
  std::size_t timer;
  duration by;
};

std::ostream& operator<<(std::ostream& out, const step& s) {
  constexpr const char* names[] = {"arm", "rearm_when_fired", "disarm", "advance",
                                   "jump"};
  return out << names[static_cast<int>(s.kind)] << " timer " << s.timer << " by "
             << s.by.count() << " ns";
}

struct observed : timer {
  observed() noexcept : timer(&on_fire) {}
  static time_point on_fire(timer& t, time_point now) noexcept {
    auto& self = static_cast<observed&>(t);
    self.fired = true;
    self.was_early |= self.due > now;  // of what is not in the wheel too: never
    self.due = std::exchange(self.again, never);
    return self.due;
  }
  time_point due = never;    // never: not in the wheel
  time_point again = never;  // where to go when fired
  bool fired = false;
  bool was_early = false;
};

class history {
 public:
  void play(const std::vector<step>& steps) {
    for (const step& s : steps) {
      play(s);
      RC_ASSERT(wheel_.size() == pending_.size());
      RC_ASSERT(wheel_.empty() == pending_.empty());
      check_next();
    }
    // Whatever is left comes, however far it is, from one event to the next.
    for (unsigned events = 0; !wheel_.empty(); ++events) {
      RC_ASSERT(events < 10 * 2 * timers);
      now_ = wheel_.next_event();
      advance();
      check_next();
    }
  }

 private:
  void play(const step& s) {
    observed& t = timer_[s.timer];
    switch (s.kind) {
      case what::arm:  // as timer_service::arm(): moves a timer that is pending
        wheel_.remove(t);
        forget(t);
        t.due = later(s.by);
        t.again = never;
        wheel_.insert(t, t.due);
        remember(t);
        break;
      case what::rearm_when_fired:
        if (t.due != never) t.again = later(s.by);
        break;
      case what::disarm:
        wheel_.remove(t);
        forget(t);
        t.due = t.again = never;
        break;
      case what::advance:
        now_ = std::max(now_, later(s.by));
        advance();
        break;
      case what::jump:
        if (!wheel_.empty()) now_ = wheel_.next_event();
        advance();
    }
  }

  // The model: what is due must fire, what comes within the tick may.
  void advance() {
    wheel_.advance(now_);
    for (observed& t : timer_) {
      RC_ASSERT(!t.was_early);
      if (!std::exchange(t.fired, false)) continue;
      RC_ASSERT(forget(t));
      if (t.due != never) remember(t);
    }
    RC_ASSERT(pending_.empty() || pending_.begin()->first > now_ - 1ms);
  }

  void check_next() const {
    auto next = wheel_.next_event();
    RC_ASSERT((next == never) == pending_.empty());
    if (pending_.empty()) return;
    RC_ASSERT(next > now_);
    auto first = pending_.begin()->first;
    RC_ASSERT(next - 1ms <= first);
  }

  // A time that has passed already means the next tick.
  void remember(observed& t) { pending_.emplace(std::max(t.due, now_), &t); }
  bool forget(const observed& t) {
    return std::erase_if(pending_, [&](auto& each) { return each.second == &t; }) == 1;
  }

  [[nodiscard]] time_point later(duration by) const {
    constexpr auto last = never - 1ns;
    return by < last - now_ ? now_ + by : last;
  }

  std::array<observed, timers> timer_;
  time_point now_{1000s};
  timer_wheel wheel_{now_};
  std::multimap<time_point, observed*> pending_;
};

}  // namespace
}  // namespace duel

template <>
struct rc::Arbitrary<duel::step> {
  static Gen<duel::step> arbitrary() {
    using duel::duration;
    using duel::what;
    // Every level of the wheel, its edges, past its horizon of two years, and the past;
    // whole milliseconds and few of them, so that deadlines meet.
    auto any = gen::map(gen::pair(gen::inRange(0, 58), gen::arbitrary<std::uint64_t>()),
                        [](const std::pair<int, std::uint64_t>& of) {
                          return duration(of.second & ((1ull << of.first) - 1));
                        });
    auto edge = gen::map(
        gen::pair(gen::inRange(0, 7), gen::inRange(-2, 3)),
        [](const std::pair<int, int>& of) {
          return duration(std::chrono::milliseconds((1ll << 6 * of.first) + of.second));
        });
    auto near = gen::map(gen::inRange(-5, 100),
                         [](int ms) { return duration(std::chrono::milliseconds(ms)); });
    auto by = gen::oneOf(any, edge, near);
    return gen::construct<duel::step>(
        gen::weightedElement<what>({{5, what::arm},
                                    {2, what::rearm_when_fired},
                                    {1, what::disarm},
                                    {2, what::advance},
                                    {1, what::jump}}),
        gen::inRange<std::size_t>(0, duel::timers), by);
  }
};

namespace duel {
namespace {

RC_GTEST_PROP(timer_wheel, keeps_to_a_sorted_multimap, (const std::vector<step>& steps)) {
  history().play(steps);
}

}  // namespace
}  // namespace duel
