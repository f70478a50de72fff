// The parking protocol alone: its counts in every step, then under fire, with an oracle
// that really sleeps: a lost wake-up is a worker that never returns.
#include "runtimes/stealing/parking.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "runtimes/stealing/parker.hpp"

namespace duel::stealing {
namespace {

TEST(parking, at_most_half_of_the_workers_search) {
  parking p(4);
  EXPECT_TRUE(p.to_searching());
  EXPECT_TRUE(p.to_searching());
  EXPECT_FALSE(p.to_searching());
  EXPECT_FALSE(p.to_working()) << "another one still searches";
  EXPECT_TRUE(p.to_working()) << "the last searcher wakes the next";
}

TEST(parking, a_single_worker_may_search) {
  parking p(1);
  EXPECT_TRUE(p.to_searching());
}

TEST(parking, nobody_is_woken_while_somebody_searches_or_nobody_sleeps) {
  parking p(2);
  EXPECT_FALSE(p.wake_one()) << "nobody sleeps";
  ASSERT_TRUE(p.to_searching());
  (void)p.to_parked(0, false);
  EXPECT_FALSE(p.wake_one()) << "worker 1 searches and will find it";
  EXPECT_TRUE(p.to_parked(1, true).nobody_searches);
  EXPECT_EQ(p.wake_one(), 1u);
  EXPECT_FALSE(p.wake_one()) << "the woken one counts as searching";
  EXPECT_EQ(p.searching(), 1u);
  EXPECT_EQ(p.unparked(), 1u);
}

TEST(parking, the_last_to_park_may_end_the_run_unless_someone_leaves_meanwhile) {
  parking p(2);
  EXPECT_FALSE(p.to_parked(0, false).nobody_unparked);
  auto last = p.to_parked(1, false);
  EXPECT_TRUE(last.nobody_unparked);
  EXPECT_TRUE(p.still_nobody_unparked(last.epoch));
  EXPECT_EQ(p.to_unparked(0, true), parking::wake_kind::unparked_by_itself);
  EXPECT_FALSE(p.still_nobody_unparked(last.epoch));
  EXPECT_TRUE(p.to_parked(0, false).nobody_unparked);
  EXPECT_FALSE(p.still_nobody_unparked(last.epoch)) << "the epoch remembers";
}

TEST(parking, a_worker_woken_for_nothing_stays_parked) {
  parking p(2);
  (void)p.to_parked(0, false);
  EXPECT_EQ(p.to_unparked(0, false), parking::wake_kind::stay_parked);
  EXPECT_EQ(p.wake_one(), 0u);
  EXPECT_EQ(p.to_unparked(0, false), parking::wake_kind::woken);
}

TEST(parker, an_unpark_that_comes_first_cancels_the_sleep) {
  parker p;
  EXPECT_FALSE(p.unpark());
  p.park_in([] { FAIL() << "it was notified"; });
  EXPECT_FALSE(p.unpark());
  p.park();
}

TEST(parker, a_sleep_ends_at_its_time) {
  parker p;
  p.park(clock::now() + std::chrono::milliseconds(1));
  EXPECT_FALSE(p.unpark()) << "nobody sleeps";
}

TEST(parker, the_one_who_polls_must_be_interrupted) {
  parker p;
  bool polled = false;
  p.park_in([&] {
    polled = true;
    EXPECT_TRUE(p.unpark()) << "it sleeps in the driver";
    EXPECT_FALSE(p.unpark()) << "told already";
  });
  EXPECT_TRUE(polled);
}

// One producer, two consumers that sleep whenever the counter of available items is zero.
TEST(parking, no_item_is_left_while_everybody_sleeps) {
  constexpr int items = 40'000;
  constexpr unsigned consumers = 2;
  parking idle(consumers);
  parker sleepers[consumers];
  std::atomic<int> available{0}, consumed{0};
  std::atomic<bool> finished{false};
  auto take = [&] {
    int n = available.load();
    while (n > 0 && !available.compare_exchange_weak(n, n - 1)) {
    }
    return n > 0;
  };
  auto wake_one = [&] {
    if (auto w = idle.wake_one()) (void)sleepers[*w].unpark();
  };
  auto consume = [&](unsigned me) {
    bool searching = false;
    while (!finished) {
      if (!searching) searching = idle.to_searching();
      if (searching && take()) {
        searching = false;
        if (idle.to_working()) wake_one();
        if (++consumed == items) {
          finished = true;
          for (auto& each : sleepers) (void)each.unpark();
        }
        continue;
      }
      auto left = idle.to_parked(me, std::exchange(searching, false));
      if (left.nobody_searches && available.load() > 0) wake_one();
      for (auto kind = parking::wake_kind::stay_parked;
           kind == parking::wake_kind::stay_parked && !finished;) {
        sleepers[me].park();
        kind = idle.to_unparked(me, false);
        searching = kind == parking::wake_kind::woken;
      }
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < consumers; ++i) threads.emplace_back(consume, i);
  for (int i = 0; i < items; ++i) {
    available.fetch_add(1);
    wake_one();
    if (i % 64 == 0) {  // let them run dry and sleep
      while (available.load() > 0) std::this_thread::yield();
    }
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(consumed.load(), items);
}

}  // namespace
}  // namespace duel::stealing
