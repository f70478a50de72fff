// The ring alone: order, overflow, stealing; then an owner and two thieves at full speed.
#include "runtimes/stealing/run_queue.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <memory>
#include <thread>

#include "runtimes/core/test_token.hpp"
#include "runtimes/stealing/inject_queue.hpp"

namespace duel::stealing {
namespace {

using token = test_token;
using small_queue = basic_run_queue<4>;

TEST(run_queue, is_first_in_first_out) {
  small_queue q;
  token t[3];
  for (auto& each : t) EXPECT_TRUE(q.push(each).empty());
  EXPECT_EQ(q.size(), 3u);
  for (auto& each : t) EXPECT_EQ(q.pop(), &each);
  EXPECT_EQ(q.pop(), nullptr);
}

TEST(run_queue, overflow_keeps_the_older_half_and_spills_the_rest_in_order) {
  small_queue q;
  token t[5];
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(q.push(t[i]).empty());
  task_chain spilled = q.push(t[4]);
  EXPECT_EQ(spilled.size(), 3u);
  for (int i : {2, 3, 4}) EXPECT_EQ(spilled.pop(), &t[i]);
  for (int i : {0, 1}) EXPECT_EQ(q.pop(), &t[i]);
  EXPECT_TRUE(q.empty());
}

TEST(run_queue, a_thief_takes_half_rounded_up) {
  small_queue from, into;
  token t[3];
  for (auto& each : t) EXPECT_TRUE(from.push(each).empty());
  auto took = from.steal_into(into);
  EXPECT_EQ(took.count, 2u);
  EXPECT_EQ(took.first, &t[1]);
  EXPECT_EQ(into.pop(), &t[0]);
  EXPECT_EQ(from.pop(), &t[2]);
}

TEST(run_queue, a_full_thief_takes_nothing) {
  small_queue from, into;
  token a[2], b[4];
  for (auto& each : a) EXPECT_TRUE(from.push(each).empty());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(into.push(b[i]).empty());
  EXPECT_EQ(from.steal_into(into).first, nullptr);
}

// Every task is seen exactly once, whoever takes it, through wraps, overflows and thieves
// that steal from each other.
TEST(run_queue, owner_and_two_thieves_lose_and_double_nothing) {
  constexpr int count = 60'000;
  auto tokens = std::make_unique<token[]>(count);
  basic_run_queue<16> owner, loot[2];
  inject_queue inject;
  std::atomic<int> taken{0};
  std::atomic<bool> done{false};
  auto see = [&](task* t) {
    static_cast<token*>(t)->seen.fetch_add(1);
    taken.fetch_add(1);
  };
  auto thief = [&](int me) {
    while (taken.load() < count) {
      auto took = owner.steal_into(loot[me]);
      if (!took.first) took = loot[1 - me].steal_into(loot[me]);
      if (took.first) see(took.first);
      for (int i = 0; i < 3; ++i) {
        if (task* t = loot[me].pop()) see(t);
      }
      if (done.load()) {
        if (task* t = inject.pop(1).pop()) see(t);
        while (task* t = loot[me].pop()) see(t);
      }
      if (!took.first) std::this_thread::yield();
    }
  };
  std::thread thieves[] = {std::thread(thief, 0), std::thread(thief, 1)};
  for (int i = 0; i < count; ++i) {
    auto spilled = owner.push(tokens[i]);
    if (!spilled.empty()) inject.push(spilled);
    if (i % 3 == 0) {
      if (task* t = owner.pop()) see(t);
    }
  }
  while (task* t = owner.pop()) see(t);
  done = true;
  for (auto& t : thieves) t.join();
  for (int i = 0; i < count; ++i) ASSERT_EQ(tokens[i].seen.load(), 1) << "task " << i;
}

}  // namespace
}  // namespace duel::stealing
