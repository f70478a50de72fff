// ring_test.cpp - when requests are handed over, and messages from ring to ring.
#include "runtimes/drivers/uring/ring.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace duel::uring {
namespace {

using names = std::vector<std::uint64_t>;

names reaped(ring& r) {
  names all;
  r.reap([&](const ::io_uring_cqe& cqe) { all.push_back(cqe.user_data); });
  return all;
}

class handing_over : public testing::Test {
 protected:
  void open(unsigned flush) { ASSERT_EQ(ring_.open(task_work::interrupting, flush), 0); }
  void request(std::uint64_t name) {
    auto& sqe = ring_.next_request();
    ::io_uring_prep_nop(&sqe);
    sqe.user_data = name;
  }
  // What the turn's end completes, of an owner that does not sleep.
  names end_turn() {
    if (ring_.has_work()) ring_.enter(at_once);
    return reaped(ring_);
  }
  ring ring_;
};

TEST_F(handing_over, every_turn) {
  open(every_turn);
  request(1);
  request(2);
  EXPECT_EQ(reaped(ring_), names{});
  EXPECT_EQ(end_turn(), (names{1, 2}));
  auto [calls, requests] = ring_.take_tally();
  EXPECT_EQ(calls, 1u);
  EXPECT_EQ(requests, 2u);
  EXPECT_FALSE(ring_.has_work());
  EXPECT_EQ(ring_.take_tally().calls, 0u);
}

TEST_F(handing_over, when_there_are_so_many) {
  open(3);
  request(1);
  request(2);
  EXPECT_EQ(end_turn(), names{});
  request(3);
  request(4);  // in the middle of a turn
  EXPECT_EQ(reaped(ring_), (names{1, 2, 3}));
  EXPECT_EQ(end_turn(), names{});
  ring_.enter(clock::now());
  EXPECT_EQ(reaped(ring_), names{4});
}

TEST_F(handing_over, before_sleeping_and_to_an_owner_that_never_sleeps) {
  open(before_sleep);
  for (std::uint64_t i = 1; i <= 100; ++i) request(i);
  EXPECT_EQ(end_turn(), names{});
  ring_.enter(clock::now());
  EXPECT_EQ(reaped(ring_).size(), 100u);
  request(1);
  names seen;
  for (int turn = 0; turn < 1000 && seen.empty(); ++turn) seen = end_turn();
  EXPECT_EQ(seen, names{1});
}

TEST(ring_message, completes_there_or_says_here_that_it_failed) {
  ring from, to, closed;
  ASSERT_EQ(from.open(task_work::deferred), 0);
  ASSERT_EQ(to.open(task_work::deferred), 0);
  from.ring_other(to, 7, 8);
  to.enter(never);
  EXPECT_EQ(reaped(to), names{7});
  from.enter(at_once);
  EXPECT_EQ(reaped(from), names{});
  from.ring_other(closed, 7, 8);  // names descriptor 0, which is no ring
  from.enter(at_once);
  EXPECT_EQ(reaped(from), names{8});
}

}  // namespace
}  // namespace duel::uring
