// turn_limit_test.cpp - when a turn of a shard ends. Steps only ever last longer than
// meant: until the first look, whose place does not depend on time, a turn goes on; after
// it, what is asserted is that it ends.
#include "runtimes/sharded/turn_limit.hpp"

#include <gtest/gtest.h>

#include "runtimes/api/time.hpp"

namespace duel::sharded {
namespace {

// How many steps of `each` a turn has, of `ready` at most.
std::size_t steps_of_a_turn(turn_limit& limit, std::size_t ready, duration each) {
  limit.begin(ready);
  for (std::size_t done = 1; done < ready; ++done) {
    burn_for(each);
    if (limit.is_over()) return done;
  }
  return ready;
}

TEST(turn_limit, long_steps_are_noticed_after_sixteen_and_then_after_each) {
  turn_limit limit;
  EXPECT_EQ(steps_of_a_turn(limit, 1000, 2 * turn_limit::longest), 16u);
  EXPECT_EQ(steps_of_a_turn(limit, 1000, 2 * turn_limit::longest), 1u);
}

TEST(turn_limit, looks_before_the_last_of_a_few_steps) {
  for (std::size_t ready : {2, 5, 16}) {
    turn_limit limit;
    EXPECT_EQ(steps_of_a_turn(limit, ready, 2 * turn_limit::longest), ready - 1);
  }
}

TEST(turn_limit, short_steps_end_it_too) {
  turn_limit limit;
  constexpr auto each = turn_limit::longest / 50;
  auto steps = steps_of_a_turn(limit, 1000, each);
  EXPECT_GE(steps, 16u);
  EXPECT_LE(steps, 50u + 16u);
}

}  // namespace
}  // namespace duel::sharded
