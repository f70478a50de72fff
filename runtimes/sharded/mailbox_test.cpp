// mailbox_test.cpp - order, bounds, and "all handled", alone and between two threads.
#include "runtimes/sharded/mailbox.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <thread>

namespace duel::sharded {
namespace {

message number(std::uintptr_t n) {
  return {nullptr, reinterpret_cast<void*>(n)};
}
std::uintptr_t number(message m) {
  return reinterpret_cast<std::uintptr_t>(m.what);
}

TEST(mailbox, keeps_order_and_refuses_when_full) {
  basic_mailbox<4> box;
  std::uintptr_t next = 0, expected = 0;
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(box.push(number(next++)));
    EXPECT_FALSE(box.push(number(99)));
    EXPECT_FALSE(box.all_handled());
    auto handled = box.drain([&](message m) { EXPECT_EQ(number(m), expected++); });
    EXPECT_EQ(handled, 4u);
    EXPECT_TRUE(box.all_handled());
    EXPECT_EQ(box.drain([](message) { FAIL(); }), 0u);
  }
}

TEST(mailbox, is_not_all_handled_while_the_last_message_is_in_hand) {
  basic_mailbox<4> box;
  ASSERT_TRUE(box.push(number(1)));
  box.drain([&](message) { EXPECT_FALSE(box.all_handled()); });
  EXPECT_TRUE(box.all_handled());
}

TEST(mailbox, passes_everything_between_two_threads) {
  constexpr std::uintptr_t many = 200'000;
  auto box = std::make_unique<basic_mailbox<16>>();
  auto memory =
      std::make_unique<std::uintptr_t[]>(many);  // plain: the ring must order it
  std::thread sender([&] {
    for (std::uintptr_t i = 0; i < many; ++i) {
      memory[i] = i * 3;
      while (!box->push(number(i))) std::this_thread::yield();
    }
    while (!box->all_handled()) std::this_thread::yield();
    for (std::uintptr_t i = 0; i < many; ++i) EXPECT_EQ(memory[i], i * 3 + 1);
  });
  std::uintptr_t expected = 0;
  while (expected < many) {
    auto handled = box->drain([&](message m) {
      ASSERT_EQ(number(m), expected);
      ASSERT_EQ(memory[expected], expected * 3);
      memory[expected++] += 1;
    });
    if (handled == 0) std::this_thread::yield();
  }
  sender.join();
}

}  // namespace
}  // namespace duel::sharded
