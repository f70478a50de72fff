// Sequences of transitions; each alone, in every state: task_state_table_test.cpp.
#include "runtimes/core/task_state.hpp"

#include <gtest/gtest.h>

namespace duel {
namespace {

using ts = task_state;

TEST(task_state, a_wake_while_running_is_not_lost) {
  ts state(false);
  state.to_running();
  EXPECT_EQ(state.wake(), wake_action::none);
  EXPECT_EQ(state.to_idle(), idle_action::enqueue);
}

TEST(task_state, two_wakes_enqueue_once) {
  ts state(false, 2 * ts::one_reference);
  EXPECT_EQ(state.wake(), wake_action::enqueue);
  EXPECT_EQ(state.wake(), wake_action::none);
}

TEST(task_state, the_life_of_a_joined_task_frees_it_once) {
  ts state(false);
  state.to_running();
  ASSERT_TRUE(state.set_join_waker());
  auto owed = state.to_complete(true);
  EXPECT_TRUE(owed.done);
  EXPECT_TRUE(owed.join_waker);
  auto left = state.drop_join_interest();
  EXPECT_TRUE(left.drop_result);
  EXPECT_FALSE(left.drop_waker) << "the completing thread still holds the cell";
  EXPECT_TRUE(state.unset_join_waker_after_complete()) << "so it destroys the waker";
  EXPECT_EQ(state.drop_reference(), drop_action::none);
  EXPECT_EQ(state.drop_reference(), drop_action::free_task);
}

}  // namespace
}  // namespace duel
