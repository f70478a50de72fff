// Tests call_at() and partitioned under every model: the answer always comes, and only
// the home touches what it owns.
#include "runtimes/api/call.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>

#include "runtimes/api/model_test.hpp"
#include "runtimes/api/sync/partitioned.hpp"
#include "runtimes/api/time.hpp"

namespace duel {
namespace {

using namespace std::chrono_literals;

unsigned homes() {
  return current_task()->owner.homes();
}
// Where homes mean nothing, every task is at home.
unsigned here() {
  return homes() == 1 ? 0 : current_task()->home;
}

class call_test : public model_test {};        // every model
class fiber_call_test : public model_test {};  // where a spawned task runs beside

TEST_P(call_test, brings_the_result_from_the_home) {
  run([] {
    for (unsigned home = 0; home < homes(); ++home) {
      EXPECT_EQ(call_at(home, [] { return here(); }), home);
      EXPECT_EQ(*call_at(home, [&] { return std::make_unique<unsigned>(home); }), home);
      unsigned ran_at = ~0u;
      call_at(home, [&] { ran_at = here(); });
      EXPECT_EQ(ran_at, home);
    }
  });
}

TEST_P(call_test, brings_the_exception) {
  run([] {
    auto fails = [](unsigned home) {
      call_at(home, []() -> int { throw std::runtime_error("on purpose"); });
    };
    for (unsigned home = 0; home < homes(); ++home) {
      EXPECT_THROW(fails(home), std::runtime_error);
    }
  });
}

TEST_P(call_test, is_a_plain_call_at_home) {
  run([] {
    task* caller = current_task();
    EXPECT_EQ(call_at(here(), [] { return current_task(); }), caller);
  });
}

TEST_P(call_test, may_wait_there_and_call_back) {
  run([] {
    unsigned start = here();
    for (unsigned home = 0; home < homes(); ++home) {
      EXPECT_EQ(call_at(home,
                        [&] {
                          EXPECT_TRUE(sleep_for(1ms));
                          return call_at(start, [] { return here(); });
                        }),
                start);
    }
  });
}

// More at once than a mailbox holds, in all directions.
TEST_P(fiber_call_test, many_at_once_are_all_answered) {
  constexpr int callers = 400, calls = 5;
  std::atomic<int> right{0};
  run([&] {
    for (unsigned from = 0; from < homes(); ++from) {
      spawn_at(from, [&right] {
        for (int i = 0; i < callers; ++i) {
          spawn([&right, i] {
            for (int call = 0; call < calls; ++call) {
              auto to = static_cast<unsigned>(i + call) % homes();
              right += call_at(to, [=] { return here() == to ? i : -1; }) == i;
            }
          }).detach();
        }
      });
    }
  });
  auto from = GetParam().model == "sharded" ? GetParam().workers : 1;
  EXPECT_EQ(right.load(), static_cast<int>(from) * callers * calls);
}

TEST_P(fiber_call_test, a_cancelled_caller_still_waits_for_its_answer) {
  std::atomic<bool> entered{false}, open{false};
  run([&] {
    auto caller = spawn([&] {
      int answer = call_at(homes() - 1, [&] {
        entered = true;
        while (!open) yield();
        return 42;
      });
      EXPECT_TRUE(is_cancelled());
      return answer;
    });
    while (!entered) yield();
    caller.cancel();
    for (int i = 0; i < 10; ++i) yield();
    EXPECT_FALSE(caller.is_done());
    open = true;
    EXPECT_EQ(caller.join(), 42);
  });
}

TEST_P(call_test, a_drain_lets_calls_come_and_go) {
  run([] {
    current_task()->owner.stop(stop_mode::drain);
    for (unsigned home = 0; home < homes(); ++home) {
      EXPECT_EQ(call_at(home, [] { return here(); }), home);
      EXPECT_TRUE(call_at(home, [] { return is_cancelled(*current_task()); }));
      shield_scope finish;
      EXPECT_FALSE(call_at(home, [] { return is_cancelled(*current_task()); }));
      EXPECT_TRUE(call_at(home, [] { return sleep_for(1ms).has_value(); }));
    }
    current_task()->owner.stop(stop_mode::cut);
    shield_scope useless;
    EXPECT_EQ(call_at(homes() - 1, [] { return here(); }), homes() - 1);
  });
}

TEST_P(call_test, an_errand_that_cannot_run_answers_with_an_error) {
  run([] {
    auto body = [] { return 1; };
    detail::call<decltype(body)> there(body);
    { detail::errand<decltype(body)> dropped(there); }
    EXPECT_THROW((void)there.await(), std::system_error);
  });
}

// Plain counters, so that ThreadSanitizer sees whoever touches a part beside another.
void count_in(partitioned<int>& parts, int tasks, int rounds) {
  std::vector<join_handle<void>> all;
  for (int i = 0; i < tasks; ++i) {
    all.push_back(spawn([&, i] {
      for (int round = 0; round < rounds; ++round) {
        parts.with(static_cast<std::size_t>(i + round), [](int& part) { ++part; });
      }
    }));
  }
  for (auto& each : all) each.join();
}

int sum_of(partitioned<int>& parts, std::size_t count) {
  int sum = 0;
  for (std::size_t i = 0; i < count; ++i) {
    sum += parts.with(i, [](int& part) { return part; });
  }
  return sum;
}

TEST_P(call_test, parts_behind_locks_lose_nothing) {
  run([] {
    auto parts = partitioned<int>::behind_locks(3);
    count_in(parts, 50, 20);
    EXPECT_EQ(sum_of(parts, 3), 1000);
  });
}

TEST_P(fiber_call_test, parts_at_homes_lose_nothing) {
  run([] {
    auto parts = partitioned<int>::at_homes(homes());
    if (homes() == 1) return;  // one home is no owner where workers share its tasks
    for (unsigned home = 0; home < homes(); ++home) {
      call_at(home, [&] { count_in(parts, 50, 20); });
    }
    EXPECT_EQ(sum_of(parts, homes()), 1000 * static_cast<int>(homes()));
  });
}

INSTANTIATE_TEST_SUITE_P(models, call_test, testing::ValuesIn(all_models()), model_name);
INSTANTIATE_TEST_SUITE_P(models, fiber_call_test, testing::ValuesIn(fiber_models()),
                         model_name);

}  // namespace
}  // namespace duel
