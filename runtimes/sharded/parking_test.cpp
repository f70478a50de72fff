// parking_test.cpp - one doorbell a sleep, and no sleep beside mail.
#include "runtimes/sharded/parking.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "runtimes/core/futex.hpp"

namespace duel::sharded {
namespace {

TEST(parking, rings_once_for_each_sleep) {
  parking p;
  EXPECT_FALSE(p.notify());  // awake: it will look by itself
  EXPECT_FALSE(p.begin_sleep());
  EXPECT_TRUE(p.take_notice());
  EXPECT_FALSE(p.take_notice());
  ASSERT_TRUE(p.begin_sleep());
  EXPECT_TRUE(p.notify());
  EXPECT_FALSE(p.notify());
  p.end_sleep();
  EXPECT_TRUE(p.take_notice());
  EXPECT_TRUE(p.begin_sleep());
}

TEST(parking, keeps_a_notice_that_comes_while_waking_up) {
  parking p;
  ASSERT_TRUE(p.begin_sleep());
  p.end_sleep();
  EXPECT_FALSE(p.notify());
  EXPECT_TRUE(p.take_notice());
}

// A lost wake-up hangs this test: the owner sleeps without a deadline.
TEST(parking, loses_no_wake_up_between_two_threads) {
  constexpr int many = 100'000;
  parking p;
  std::atomic<std::uint32_t> doorbell{0};
  std::atomic<int> mail{0};
  std::thread sender([&] {
    for (int i = 1; i <= many; ++i) {
      mail.store(i, std::memory_order_relaxed);  // relaxed: (M2) in parking.hpp orders it
      if (p.notify()) {
        doorbell.fetch_add(1);
        futex_wake_one(doorbell);
      }
      if (i % 64 == 0) std::this_thread::yield();
    }
  });
  int seen = 0;
  std::uint32_t heard = 0;
  while (seen < many) {
    if (p.take_notice())
      seen = mail.load(std::memory_order_relaxed);  // relaxed: as above
    if (seen == many || !p.begin_sleep()) continue;
    while (doorbell.load() == heard) futex_wait(doorbell, heard);
    heard = doorbell.load();
    p.end_sleep();
  }
  sender.join();
}

}  // namespace
}  // namespace duel::sharded
