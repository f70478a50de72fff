// scheduler_test.cpp - tasks on shards: spawn, join, yield, time, other shards, and the
// end.
#include "runtimes/sharded/scheduler.hpp"

#include <sched.h>

#include <algorithm>
#include <latch>
#include <numeric>
#include <thread>

#include "runtimes/api/net/listener.hpp"
#include "runtimes/api/task.hpp"
#include "runtimes/api/time.hpp"
#include "runtimes/core/shuffle.hpp"
#include "runtimes/sharded/test_model.hpp"

namespace duel::sharded {
namespace {

using namespace std::chrono_literals;

class on_shards : public testing::TestWithParam<shards_on> {
 protected:
  void run(std::move_only_function<void()> main) { run_clean(*model, std::move(main)); }
  unsigned shards() const { return GetParam().shards; }
  std::unique_ptr<duel::scheduler> make() const {
    return make_test_model(shards(), GetParam().driver, GetParam().chosen);
  }
  std::unique_ptr<duel::scheduler> model = make();
};
INSTANTIATE_TEST_SUITE_P(, on_shards, every_driver(), name_of);

TEST_P(on_shards, joins_values_and_exceptions) {
  run([] {
    auto seven = spawn([] { return 7; });
    auto text = spawn([] {
      yield();
      return std::string("eleven");
    });
    auto bad = spawn([]() -> int { throw std::runtime_error("no"); });
    EXPECT_EQ(seven.join() + static_cast<int>(text.join().size()), 13);
    EXPECT_THROW(bad.join(), std::runtime_error);
    spawn([] { yield(); }).detach();
  });
  EXPECT_EQ(total(*model, counter::spawns), 4u);
  EXPECT_EQ(total(*model, counter::steals), 0u);
}

TEST_P(on_shards, rethrows_what_main_throws) {
  EXPECT_THROW(model->run([] { throw std::logic_error("main"); }), std::logic_error);
}

TEST_P(on_shards, runs_many_tasks_each_once) {
  run([] {
    int runs = 0;
    std::vector<join_handle<void>> all;
    for (int i = 0; i < 5'000; ++i)
      all.push_back(spawn([&] {
        ++runs;
        yield();
        ++runs;
      }));
    for (auto& h : all) h.join();
    EXPECT_EQ(runs, 10'000);
  });
}

TEST_P(on_shards, yields_in_turn) {
  run([] {
    std::string order;
    auto a = spawn([&] {
      for (int i = 0; i < 3; ++i) {
        order += 'a';
        yield();
      }
    });
    auto b = spawn([&] {
      for (int i = 0; i < 3; ++i) {
        order += 'b';
        yield();
      }
    });
    a.join();
    b.join();
    if (shuffle::is_on() && order[0] == 'b') std::ranges::reverse(order);
    EXPECT_EQ(order, "ababab");
  });
}

TEST_P(on_shards, sleeps_in_order_and_never_short) {
  run([] {
    std::vector<int> order;
    duration late{};
    std::vector<join_handle<void>> all;
    auto begin = clock::now();
    for (int ms : {30, 10, 20, 0}) {
      all.push_back(spawn([&, ms] {
        EXPECT_TRUE(sleep_for(ms * 1ms));
        auto slept = clock::now() - begin;
        EXPECT_GE(slept, ms * 1ms);
        late = std::max<duration>(late, slept - ms * 1ms);
        order.push_back(ms);
      }));
    }
    for (auto& h : all) h.join();
    // A machine that stands still for longer lets two of them end at the same time.
    if (late < 9ms) {
      EXPECT_EQ(order, (std::vector{0, 10, 20, 30}));
    }
  });
}

TEST_P(on_shards, fires_a_timer_beside_a_task_that_yields_in_a_loop) {
  run([] {
    bool done = false;
    auto busy = spawn([&] {
      while (!done) yield();
    });
    EXPECT_TRUE(sleep_for(20ms));
    done = true;
    busy.join();
  });
}

TEST_P(on_shards, spawns_at_every_home) {
  std::atomic<unsigned> ran{0};
  std::vector<std::thread::id> where(shards());
  run([&] {
    for (unsigned home = 0; home < shards(); ++home) {
      spawn_at(home, [&, home] {
        where[home] = std::this_thread::get_id();
        EXPECT_EQ(current_task()->home, home);
        spawn([&, home] { EXPECT_EQ(current_task()->home, home); }).join();
        ++ran;
      });
    }
  });
  EXPECT_EQ(ran, shards());
  EXPECT_EQ(where[0], std::this_thread::get_id());
  for (unsigned i = 1; i < shards(); ++i) EXPECT_NE(where[i], where[i - 1]);
}

// More messages than mailboxes hold, in every direction, each answered by another one.
TEST_P(on_shards, loses_no_message_when_mailboxes_overflow) {
  constexpr unsigned many = 2'000;
  std::atomic<unsigned> answers{0};
  run([&] {
    for (unsigned i = 0; i < many; ++i) {
      spawn_at(i % shards(), [&, i] {
        yield();
        spawn_at((i + 1) % shards(), [&] { ++answers; });
      });
    }
  });
  EXPECT_EQ(answers, many);
}

// A waker that travels to another home and comes back as a wake.
TEST_P(on_shards, is_woken_from_other_shards) {
  run([&] {
    for (int round = 0; round < 300; ++round) {
      std::atomic<bool> done{false};
      unsigned there = static_cast<unsigned>(round) % shards();
      while (!done) {
        suspend(suspend_reason::event, [&](waker w) {
          // On the scheduler's stack: hand the waker over with a task made by hand.
          auto body = [&done, held = std::make_shared<waker>(std::move(w))] {
            done = true;
            std::move(*held).wake();
          };
          scheduler& owner = *model;
          auto* t = new detail::task_of<decltype(body)>(owner, std::move(body));
          detach_before_start(*t);
          owner.spawn_at(there, *t);
        });
      }
    }
  });
}

TEST_P(on_shards, is_woken_from_a_thread_outside) {
  run([&] {
    for (int round = 0; round < 50; ++round) {
      std::atomic<bool> done{false};
      std::thread outside;
      while (!done) {
        suspend(suspend_reason::event, [&](waker w) {
          if (outside.joinable()) return;
          outside = std::thread([&, held = std::move(w)]() mutable {
            done = true;
            std::move(held).wake();
          });
        });
      }
      outside.join();
    }
  });
}

// The reference may come home long after the task, and after the run.
TEST_P(on_shards, takes_a_waker_back_after_the_run) {
  waker kept;
  run([&] {
    spawn_at(shards() - 1, [&] {
      bool suspended = false;
      suspend(suspend_reason::event, [&](waker w) {
        w.wake_by_ref();
        kept = std::move(w);
        suspended = true;
      });
      EXPECT_TRUE(suspended);
    });
  });
  kept.wake_by_ref();
  model->stop(stop_mode::cut);
  std::move(kept).wake();  // frees the task; the leak check looks
}

TEST_P(on_shards, cancels_one_task_from_another) {
  run([] {
    auto sleeping = spawn([] { return sleep_for(1h); });
    yield();
    sleeping.cancel();
    EXPECT_EQ(sleeping.join().error(), std::errc::operation_canceled);
  });
}

TEST_P(on_shards, stop_ends_sleepers_and_listeners_on_every_shard) {
  std::atomic<int> ended{0};
  std::latch ready(shards());
  std::jthread stopper([&] {
    ready.wait();
    model->stop(stop_mode::drain);
    model->stop(stop_mode::drain);
    model->stop(stop_mode::cut);
  });
  run([&] {
    spawn([&] {
      auto where = net::endpoint::parse("127.0.0.1:0");
      EXPECT_TRUE(net::serve(
          {*where}, [](net::stream) {}, [](net::endpoint) {}));
      ++ended;
    }).detach();
    for (unsigned home = 0; home < shards(); ++home) {
      spawn_at(home, [&] {
        auto sleeping = spawn([] { return sleep_for(1h); });
        ready.count_down();
        EXPECT_EQ(sleeping.join().error(), std::errc::operation_canceled);
        EXPECT_FALSE(sleep_for(1h));
        ++ended;
      });
    }
  });
  EXPECT_EQ(ended, static_cast<int>(shards()) + 1);
}

// Runs that end at once, again and again: an end that is missed hangs, one that comes too
// early leaves a task.
TEST_P(on_shards, ends_exactly_when_nothing_is_left) {
  for (int round = 0; round < 40; ++round) {
    auto again = make();
    std::atomic<unsigned> ran{0};
    again->run([&] {
      for (unsigned i = 0; i < shards(); ++i) {
        spawn_at(i, [&, i] { spawn_at((i + 1) % shards(), [&] { ++ran; }); });
      }
    });
    EXPECT_EQ(ran, shards());
    EXPECT_EQ(again->live_tasks(), 0u);
  }
}

// A wake waits in shard 1's outbox while the reference it was sent with, handed on to
// shard 2, comes home first: the task must still be there. (The address sanitizer looks.)
TEST(sharded, a_wake_that_arrives_after_the_last_reference_finds_its_task) {
  auto model = make_test_model(3);
  constexpr int flood = 300;  // more than a mailbox holds
  int arrived = 0;
  run_clean(*model, [&] {
    auto last = std::make_shared<waker>();
    spawn([&] { *last = waker::of(*current_task()); }).join();
    spawn_at(1, [&arrived, last] {
      for (int i = 0; i < flood; ++i) spawn_at(0, [&arrived] { ++arrived; });
      last->wake_by_ref();
      spawn_at(2, [last] { last->reset(); });
    });
    block_for(30ms);  // shard 0 handles no mail meanwhile
  });
  EXPECT_EQ(arrived, flood);
}

TEST(sharded, pins_shards_and_gives_the_caller_its_cpus_back) {
  cpu_set_t before, after;
  ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
  auto model = make_test_model(2, "uring", {{"pin", "on"}});
  std::atomic<int> pinned{0};
  run_clean(*model, [&] {
    for (unsigned home = 0; home < 2; ++home) {
      spawn_at(home, [&] {
        cpu_set_t here;
        ::sched_getaffinity(0, sizeof here, &here);
        pinned += CPU_COUNT(&here) == 1;
      });
    }
  });
  EXPECT_EQ(pinned, 2);
  ASSERT_EQ(::sched_getaffinity(0, sizeof after, &after), 0);
  EXPECT_TRUE(CPU_EQUAL(&before, &after));
  EXPECT_NE(model->description().find(" pin=on budget=128 spin-us=0"), std::string::npos);
}

TEST(sharded, says_why_it_cannot_start) {
  EXPECT_FALSE(make_scheduler({.shards = 0}));
  EXPECT_FALSE(make_scheduler({.shards = 257}));
  auto model =
      make_scheduler({.shards = 3,
                      .pin = false,
                      .driver = "none",
                      .make_driver = [](timer_service&, counters&) {
                        return result<std::unique_ptr<polled_driver>>(failure(EMFILE));
                      }});
  ASSERT_TRUE(model);
  EXPECT_THROW((*model)->run([] { FAIL(); }), std::system_error);
}

}  // namespace
}  // namespace duel::sharded
