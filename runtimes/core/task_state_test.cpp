// Every transition from every state it may be called in, against the table written out
// again as conditions and effects; and that the plain and the atomic form agree.
#include "runtimes/core/task_state.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace duel {
namespace {

using ts = task_state;
constexpr std::uint64_t all_flags = ts::running | ts::complete | ts::notified |
                                    ts::join_interest | ts::join_waker | ts::cancelled;

bool is_legal(std::uint64_t w) {
  bool running = w & ts::running, complete = w & ts::complete;
  if (running && complete) return false;
  return complete || w >= ts::one_reference;  // incomplete tasks own themselves
}

struct row {
  const char* name;
  bool (*callable)(std::uint64_t);
  int (*apply)(ts&);  // the returned action as a number
  std::uint64_t (*next)(std::uint64_t);
  int (*action)(std::uint64_t);
};

bool any(std::uint64_t) {
  return true;
}
bool while_running(std::uint64_t w) {
  return w & ts::running;
}
bool while_queued(std::uint64_t w) {
  return (w & (ts::running | ts::complete | ts::notified)) == ts::notified;
}
bool with_handle(std::uint64_t w) {
  return w & ts::join_interest;
}
bool has(std::uint64_t w, std::uint64_t bits) {
  return (w & bits) != 0;
}
int busy(std::uint64_t w) {
  return !has(w, ts::complete | ts::notified | ts::running);
}

const std::vector<row> table{
    {"to_running", while_queued,
     [](ts& s) {
       s.to_running();
       return 0;
     },
     [](std::uint64_t w) { return (w & ~ts::notified) | ts::running; },
     [](std::uint64_t) { return 0; }},
    {"to_idle", while_running,
     [](ts& s) { return int(s.to_idle() == idle_action::enqueue); },
     [](std::uint64_t w) { return w & ~ts::running; },
     [](std::uint64_t w) { return int(has(w, ts::notified)); }},
    {"to_complete with a result", while_running,
     [](ts& s) {
       auto c = s.to_complete(true);
       return c.done + 2 * c.join_waker;
     },
     [](std::uint64_t w) {
       return has(w, ts::join_interest) ? (w & ~ts::running) | ts::complete : w;
     },
     [](std::uint64_t w) {
       return has(w, ts::join_interest) + 2 * has(w, ts::join_waker);
     }},
    {"to_complete without a result", while_running,
     [](ts& s) {
       auto c = s.to_complete(false);
       return c.done + 2 * c.join_waker;
     },
     [](std::uint64_t w) { return (w & ~ts::running) | ts::complete; },
     [](std::uint64_t w) { return 1 + 2 * has(w, ts::join_waker); }},
    {"wake", any, [](ts& s) { return int(s.wake() == wake_action::enqueue); },
     [](std::uint64_t w) { return has(w, ts::complete) ? w : w | ts::notified; }, busy},
    {"cancel", any, [](ts& s) { return int(s.cancel() == wake_action::enqueue); },
     [](std::uint64_t w) {
       return has(w, ts::complete) ? w : w | ts::notified | ts::cancelled;
     },
     busy},
    {"set_join_waker", with_handle, [](ts& s) { return int(s.set_join_waker()); },
     [](std::uint64_t w) { return has(w, ts::complete) ? w : w | ts::join_waker; },
     [](std::uint64_t w) { return int(!has(w, ts::complete)); }},
    {"unset_join_waker_after_complete",
     [](std::uint64_t w) { return has(w, ts::complete); },
     [](ts& s) { return int(s.unset_join_waker_after_complete()); },
     [](std::uint64_t w) { return w & ~ts::join_waker; },
     [](std::uint64_t w) { return int(!has(w, ts::join_interest)); }},
    {"drop_join_interest", with_handle,
     [](ts& s) {
       auto d = s.drop_join_interest();
       return d.drop_result + 2 * d.drop_waker;
     },
     [](std::uint64_t w) {
       return w & ~(has(w, ts::complete) ? ts::join_interest
                                         : ts::join_interest | ts::join_waker);
     },
     [](std::uint64_t w) {
       bool done = has(w, ts::complete);
       return done + 2 * (!done || !has(w, ts::join_waker));
     }},
    {"add_reference", any,
     [](ts& s) {
       s.add_reference();
       return 0;
     },
     [](std::uint64_t w) { return w + ts::one_reference; },
     [](std::uint64_t) { return 0; }},
    {"drop_reference", [](std::uint64_t w) { return w >= ts::one_reference; },
     [](ts& s) { return int(s.drop_reference() == drop_action::free_task); },
     [](std::uint64_t w) { return w - ts::one_reference; },
     [](std::uint64_t w) { return int(w / ts::one_reference == 1); }},
};

class task_state_table : public testing::TestWithParam<bool> {};

TEST_P(task_state_table, every_transition_from_every_state) {
  int checked = 0;
  for (const row& r : table) {
    for (std::uint64_t flags = 0; flags <= all_flags; ++flags) {
      for (std::uint64_t references = 0; references < 3; ++references) {
        std::uint64_t word = flags + references * ts::one_reference;
        if (!is_legal(word) || !r.callable(word)) continue;
        ts state(GetParam(), word);
        EXPECT_EQ(r.apply(state), r.action(word)) << r.name << " from " << word;
        EXPECT_EQ(state.word(), r.next(word)) << r.name << " from " << word;
        ++checked;
      }
    }
  }
  EXPECT_GT(checked, 700);
}

INSTANTIATE_TEST_SUITE_P(access, task_state_table, testing::Values(false, true),
                         [](auto& param) {
                           return param.param ? "exclusive" : "shared";
                         });

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
