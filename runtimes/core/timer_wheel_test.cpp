// The wheel against a sorted multimap: same timers, same order of firing, never early,
// and at most a millisecond late.
#include "runtimes/core/timer_wheel.hpp"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <vector>

namespace duel {
namespace {

using namespace std::chrono_literals;

struct recording_timer : timer {
  recording_timer() noexcept : timer(&on_fire) {}
  static time_point on_fire(timer& t, time_point now) noexcept {
    auto& self = static_cast<recording_timer&>(t);
    self.fired_at = now;
    ++self.fired;
    return std::exchange(self.again, never);
  }
  time_point due{}, fired_at{};
  time_point again = never;
  int fired = 0;
};

TEST(timer_wheel, fires_in_time_from_a_millisecond_to_a_year) {
  time_point start(1000s);
  timer_wheel wheel(start);
  std::vector<std::unique_ptr<recording_timer>> timers;
  for (duration d : {duration(1ns), duration(1ms), duration(63ms), duration(64ms),
                     duration(65ms), duration(4095ms), duration(4096ms), duration(5min),
                     duration(5h), duration(24h * 40), duration(24h * 365)}) {
    auto& t = *timers.emplace_back(std::make_unique<recording_timer>());
    t.due = start + d;
    wheel.insert(t, t.due);
  }
  while (!wheel.empty()) {
    auto next = wheel.next_event();
    ASSERT_NE(next, never);
    wheel.advance(next);
  }
  for (auto& t : timers) {
    EXPECT_EQ(t->fired, 1);
    EXPECT_GE(t->fired_at, t->due);
    EXPECT_LE(t->fired_at - t->due, 1ms);
  }
}

TEST(timer_wheel, a_thousand_random_histories_match_a_sorted_map) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    time_point now(5s);
    timer_wheel wheel(now);
    std::vector<recording_timer> timers(64);
    std::map<recording_timer*, time_point> pending;
    for (int step = 0; step < 400; ++step) {
      recording_timer& t = timers[random() % timers.size()];
      switch (random() % 3) {
        case 0:
          if (pending.contains(&t)) break;
          t.due = now + std::chrono::microseconds(random() % (1u << (random() % 28)));
          wheel.insert(t, t.due);
          pending[&t] = t.due;
          break;
        case 1:
          wheel.remove(t);
          pending.erase(&t);
          break;
        default: {
          now += std::chrono::microseconds(random() % (1u << (random() % 26)));
          for (auto& each : timers) each.fired = 0;
          wheel.advance(now);
          for (auto& each : timers) {
            auto at = pending.find(&each);
            if (each.fired) {
              ASSERT_NE(at, pending.end()) << "seed " << seed << ": fired unarmed";
              ASSERT_LE(at->second, now) << "seed " << seed << ": fired early";
              ASSERT_EQ(each.fired, 1);
              pending.erase(at);
            } else if (at != pending.end()) {
              ASSERT_GT(at->second + 1ms, now) << "seed " << seed << ": forgotten";
            }
          }
        }
      }
      ASSERT_EQ(wheel.size(), pending.size());
    }
    for (auto& [t, due] : pending) wheel.remove(*t);
    EXPECT_TRUE(wheel.empty());
    EXPECT_EQ(wheel.next_event(), never);
  }
}

TEST(timer_wheel, a_timer_may_ask_to_be_called_again) {
  time_point start(1s);
  timer_wheel wheel(start);
  recording_timer t;
  t.again = start + 500ms;
  wheel.insert(t, start + 10ms);
  wheel.advance(start + 11ms);
  EXPECT_EQ(t.fired, 1);
  EXPECT_EQ(wheel.size(), 1u);
  wheel.advance(start + 501ms);
  EXPECT_EQ(t.fired, 2);
  EXPECT_TRUE(wheel.empty());
}

// A service that fires by hand.
struct manual_service final : timer_service {
  timer_wheel wheel{time_point(1s)};
  int armed = 0;
  void arm(timer& t, time_point when) noexcept override {
    wheel.remove(t);
    wheel.insert(t, when);
    ++armed;
  }
  void disarm(timer& t) noexcept override { wheel.remove(t); }
};

TEST(deadline_timer, moving_a_deadline_later_files_nothing_and_expires_once) {
  manual_service service;
  int expired = 0;
  {
    deadline_timer d(
        service, [](void* n) noexcept { ++*static_cast<int*>(n); }, &expired);
    time_point start(1s);
    d.set(start + 100ms);
    for (int i = 0; i < 50; ++i) d.set(start + 100ms + i * 10ms);
    EXPECT_EQ(service.armed, 1);
    service.wheel.advance(start + 101ms);
    EXPECT_EQ(expired, 0) << "it was moved to 590 ms";
    EXPECT_FALSE(d.has_expired());
    EXPECT_EQ(service.wheel.size(), 1u) << "and filed there again";
    service.wheel.advance(start + 591ms);
    EXPECT_EQ(expired, 1);
    EXPECT_TRUE(d.has_expired()) << "a waiter that comes only now must not sleep";
    d.set(start + 590ms);
    EXPECT_EQ(service.armed, 2) << "the same deadline as before, but nothing is filed";
    EXPECT_FALSE(d.has_expired());
    service.wheel.advance(start + 592ms);
    EXPECT_EQ(expired, 2);
    d.set(start + 700ms);
    EXPECT_EQ(service.armed, 3);
    d.set(start + 650ms);
    EXPECT_EQ(service.armed, 4) << "an earlier deadline must be filed";
  }
  EXPECT_TRUE(service.wheel.empty()) << "a dead deadline is disarmed";
}

}  // namespace
}  // namespace duel
