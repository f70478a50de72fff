// What every model promises, written once and run under each of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <stdexcept>
#include <vector>

#include "runtimes/api/model_test.hpp"
#include "runtimes/api/sync/channel.hpp"
#include "runtimes/api/task.hpp"
#include "runtimes/api/time.hpp"
#include "runtimes/core/shuffle.hpp"

namespace duel {
namespace {

using namespace std::chrono_literals;

class every_model : public model_test {};
class concurrent_model : public model_test {
};  // where a spawned task runs beside its spawner
class fiber_model : public model_test {};
class one_worker : public model_test {};  // where a spawner's tasks have nowhere to go

TEST_P(every_model, join_returns_the_value_and_rethrows_the_exception) {
  run([] {
    EXPECT_EQ(spawn([] { return 42; }).join(), 42);
    EXPECT_EQ(spawn([] { return std::make_unique<int>(7); }).join().operator*(), 7);
    auto thrown = spawn([]() -> int { throw std::runtime_error("boom"); });
    EXPECT_THROW(thrown.join(), std::runtime_error);
  });
}

TEST_P(every_model, every_spawned_task_runs_exactly_once) {
  std::vector<std::atomic<int>> runs(task_count(2'000));
  run([&] {
    std::vector<join_handle<void>> handles;
    for (auto& each : runs) {
      handles.push_back(spawn([&each] {
        yield();
        ++each;
      }));
    }
    for (auto& h : handles) h.join();
  });
  for (auto& each : runs) ASSERT_EQ(each.load(), 1);
}

TEST_P(every_model, a_dropped_handle_detaches_and_the_run_waits) {
  std::atomic<int> done{0};
  auto witness = std::make_shared<int>();
  run([&] {
    for (int i = 0; i < 50; ++i) {
      spawn([&done, witness] {
        (void)sleep_for(1ms);
        ++done;
        return witness;
      }).detach();
    }
  });
  EXPECT_EQ(done.load(), 50);
  EXPECT_EQ(witness.use_count(), 1) << "results nobody asked for are destroyed";
}

// A result may own a connection, and closing one may wait.
TEST_P(concurrent_model, a_result_that_nobody_joins_may_wait_when_it_is_dropped) {
  struct slow_to_drop {
    std::atomic<int>* dropped;
    explicit slow_to_drop(std::atomic<int>* d) : dropped(d) {}
    slow_to_drop(slow_to_drop&& other) noexcept
        : dropped(std::exchange(other.dropped, nullptr)) {}
    ~slow_to_drop() {
      if (!dropped) return;
      (void)sleep_for(1ms);
      ++*dropped;
    }
  };
  std::atomic<int> dropped{0};
  run([&] {
    for (int i = 0; i < 40; ++i) {
      auto handle = spawn([&] {
        (void)sleep_for(1ms);
        return slow_to_drop(&dropped);
      });
      if (i % 2)
        (void)sleep_for(2ms);  // some finish before their handle goes, some after
    }
  });
  EXPECT_EQ(dropped.load(), 40);
}

TEST_P(every_model, spawns_nest) {
  std::atomic<int> leaves{0};
  struct tree {
    static void grow(std::atomic<int>& count, int depth) {
      if (depth == 0) return void(++count);
      auto left = spawn([&count, depth] { grow(count, depth - 1); });
      auto right = spawn([&count, depth] { grow(count, depth - 1); });
      left.join();
      right.join();
    }
  };
  run([&] { tree::grow(leaves, 6); });
  EXPECT_EQ(leaves.load(), 64);
}

TEST_P(every_model, sleeping_takes_at_least_that_long) {
  run([] {
    auto start = clock::now();
    EXPECT_TRUE(sleep_for(20ms));
    EXPECT_GE(clock::now() - start, 20ms);
  });
}

TEST_P(every_model, an_exception_of_main_leaves_run) {
  EXPECT_THROW(run([] { throw std::logic_error("main"); }), std::logic_error);
}

TEST_P(concurrent_model, sleepers_wake_in_the_order_of_their_deadlines) {
  std::vector<int> order;
  std::mutex mutex;
  run([&] {
    std::vector<join_handle<void>> handles;
    for (int ms : {120, 40, 80}) {
      handles.push_back(spawn([&order, &mutex, ms] {
        (void)sleep_for(std::chrono::milliseconds(ms));
        std::lock_guard lock(mutex);
        order.push_back(ms);
      }));
    }
    for (auto& h : handles) h.join();
  });
  // Two that are due at once, on a machine that had no time for them, may race.
  bool one_thread_runs_all = GetParam().workers == 1 && GetParam().model != "threads";
  if ((one_thread_runs_all || GetParam().model == "sharded") && !shuffle::is_on()) {
    EXPECT_EQ(order, (std::vector{40, 80, 120}));
  }
  EXPECT_EQ(order.size(), 3u);
}

// A loop that computes the clock's advance from its own turns stands still here.
TEST_P(concurrent_model, a_timer_fires_beside_a_task_that_yields_in_a_busy_loop) {
  std::atomic<bool> fired{false};
  std::atomic<long> turns{0};
  run([&] {
    auto busy = spawn([&] {
      auto limit = clock::now() + 20s;
      while (!fired && clock::now() < limit) {
        ++turns;
        yield();
      }
    });
    auto sleeper = spawn([&] {
      while (turns < 10) yield();  // the loop runs
      (void)sleep_for(50ms);
      fired = true;
    });
    sleeper.join();
    busy.join();
  });
  EXPECT_TRUE(fired.load());
}

TEST_P(concurrent_model, a_channel_keeps_order_and_wakes_both_sides) {
  std::vector<int> got;
  run([&] {
    channel<int> values(3);
    auto consumer = spawn([&] {
      while (auto v = values.receive()) got.push_back(*v);
    });
    for (int i = 0; i < 1'000; ++i) EXPECT_TRUE(values.send(i));
    values.close();
    consumer.join();
  });
  ASSERT_EQ(got.size(), 1'000u);
  for (int i = 0; i < 1'000; ++i) ASSERT_EQ(got[static_cast<std::size_t>(i)], i);
}

TEST_P(concurrent_model, many_senders_and_receivers_lose_nothing) {
  std::atomic<long> sum{0}, count{0};
  run([&] {
    channel<int> values(2);
    std::vector<join_handle<void>> senders, receivers;
    for (int r = 0; r < 4; ++r) {
      receivers.push_back(spawn([&] {
        while (auto v = values.receive()) {
          sum += *v;
          ++count;
        }
      }));
    }
    for (int s = 0; s < 4; ++s) {
      senders.push_back(spawn([&] {
        for (int i = 1; i <= 250; ++i) EXPECT_TRUE(values.send(i));
      }));
    }
    for (auto& s : senders) s.join();
    values.close();
    for (auto& r : receivers) r.join();
  });
  EXPECT_EQ(count.load(), 1'000);
  EXPECT_EQ(sum.load(), 4 * 250 * 251 / 2);
}

TEST_P(concurrent_model, cancel_ends_a_sleep_and_later_waits_too) {
  run([] {
    auto sleeper = spawn([] {
      auto first = sleep_for(1h);
      auto second = sleep_for(1h);
      return !first && first.error() == std::errc::operation_canceled && !second;
    });
    (void)sleep_for(5ms);
    sleeper.cancel();
    EXPECT_TRUE(sleeper.join());
  });
}

TEST_P(concurrent_model, stop_drains_but_spares_shielded_work_until_the_cut) {
  std::atomic<int> plain{0}, shielded{0}, cut{0};
  run([&] {
    scheduler& owner = current_task()->owner;
    spawn([&] { plain = sleep_for(1h) ? 1 : 2; }).detach();
    spawn([&] {
      shield_scope keep;
      shielded = sleep_for(60ms) ? 1 : 2;
    }).detach();
    spawn([&] {
      shield_scope keep;
      cut = sleep_for(1h) ? 1 : 2;
    }).detach();
    (void)sleep_for(5ms);
    owner.stop(stop_mode::drain);
    shield_scope keep;
    (void)sleep_for(150ms);
    owner.stop(stop_mode::cut);
  });
  EXPECT_EQ(plain.load(), 2);
  EXPECT_EQ(shielded.load(), 1) << "a drain must not tear shielded work";
  EXPECT_EQ(cut.load(), 2);
}

TEST_P(concurrent_model, stop_from_a_foreign_thread_ends_a_thousand_sleepers) {
  std::atomic<int> woken{0};
  std::atomic<bool> asleep{false};
  std::thread stopper;
  run([&] {
    scheduler& owner = current_task()->owner;
    for (std::size_t i = 0; i < task_count(1'000); ++i) {
      spawn([&] {
        (void)sleep_for(1h);
        ++woken;
      }).detach();
    }
    (void)sleep_for(20ms);
    stopper = std::thread([&owner] { owner.stop(stop_mode::drain); });
  });
  stopper.join();
  EXPECT_EQ(woken.load(), static_cast<int>(task_count(1'000)));
}

TEST_P(fiber_model, a_joiner_of_a_finished_task_need_not_wait) {
  run([] {
    auto done = spawn([] { return 3; });
    while (!done.is_done()) yield();
    EXPECT_EQ(done.join(), 3);
  });
}

TEST_P(one_worker, runs_every_other_task_before_one_that_yields) {
  run([] {
    for (int round = 0; round < 20; ++round) {
      std::vector<int> order;
      for (int i = 0; i < 50; ++i) {
        spawn([&order, i] { order.push_back(i); }).detach();
      }
      yield();
      EXPECT_EQ(order.size(), 50u);
      if (GetParam().model != "sharded") continue;  // a ring and a slot beside it
      EXPECT_EQ(std::ranges::is_sorted(order), !shuffle::is_on()) << "unless drawn";
    }
  });
}

// errno, an exception in flight and the thread-local accessor, each across suspensions
// that move the fiber between workers as often as stealing can be made to.
TEST_P(fiber_model, per_thread_state_is_right_after_every_migration) {
  std::atomic<int> migrations{0}, wrong{0};
  run([&] {
    std::vector<join_handle<void>> handles;
    for (int i = 0; i < 16; ++i) {
      handles.push_back(spawn([&, i] {
        for (int turn = 0; turn < 300; ++turn) {
          task* self = current_task();
          auto thread = current_thread_id();
          try {
            throw i * 1000 + turn;
          } catch (int mine) {
            yield();
            if (turn % 16 == 0) (void)sleep_for(200us);
            if (mine != i * 1000 + turn) ++wrong;
            try {
              throw;
            } catch (int again) {
              if (again != mine) ++wrong;
            }
          }
          if (current_task() != self) ++wrong;
          set_errno(i + 1);
          if (get_errno() != i + 1) ++wrong;
          if (std::uncaught_exceptions() != 0) ++wrong;
          if (current_thread_id() != thread) ++migrations;
        }
      }));
    }
    for (auto& h : handles) h.join();
  });
  EXPECT_EQ(wrong.load(), 0);
  if (GetParam().model == "stealing" && GetParam().workers > 1) {
    EXPECT_GT(migrations.load(), 0) << "no fiber moved: the test tested nothing";
  }
  if (GetParam().model == "sharded") {
    EXPECT_EQ(migrations.load(), 0);
  }
}

TEST_P(fiber_model, a_fiber_that_keeps_waking_itself_does_not_starve_others) {
  run([] {
    std::atomic<bool> other_ran{false};
    auto selfish = spawn([&] {
      for (int i = 0; i < 1'000'000 && !other_ran; ++i) {
        suspend(suspend_reason::event, [](waker w) { std::move(w).wake(); });
      }
      return other_ran.load();
    });
    auto other = spawn([&] { other_ran = true; });
    EXPECT_TRUE(selfish.join());
    other.join();
  });
}

INSTANTIATE_TEST_SUITE_P(models, every_model, testing::ValuesIn(all_models()),
                         model_name);
INSTANTIATE_TEST_SUITE_P(models, concurrent_model, testing::ValuesIn(concurrent_models()),
                         model_name);
INSTANTIATE_TEST_SUITE_P(models, fiber_model, testing::ValuesIn(fiber_models()),
                         model_name);
INSTANTIATE_TEST_SUITE_P(models, one_worker,
                         testing::Values(test_model{"stealing", 1},
                                         test_model{"stealing", 1, "uring"},
                                         test_model{"sharded", 1},
                                         test_model{"sharded", 1, "epoll"}),
                         model_name);
INSTANTIATE_TEST_SUITE_P(switches, every_model, testing::ValuesIn(stealing_variants()),
                         model_name);
INSTANTIATE_TEST_SUITE_P(switches, concurrent_model,
                         testing::ValuesIn(stealing_variants()), model_name);
INSTANTIATE_TEST_SUITE_P(switches, fiber_model, testing::ValuesIn(stealing_variants()),
                         model_name);

}  // namespace
}  // namespace duel
