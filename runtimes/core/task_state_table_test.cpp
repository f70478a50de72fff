// task_state_table_test.cpp - the life-cycle of a task as a table: every operation in
// every state, and what the caller must do then. Read it beside task_state.hpp.
//
// A state is a letter for each flag, capital if it is set, small if not:
//
//   R running    C complete    N notified    J join_interest    W join_waker    X
//   cancelled
//
// A letter that a row leaves out may be either; of "becomes", it stays as it is.
// A reference is *spare* if no flag stands for it: a waker's, or one that somebody is
// about to give back. The others are the life reference (until C), the handle's (while J)
// and the one of the completing thread, which still holds the cell (while C and W).
//
// The rows are Tokio's, for tasks whose stack cannot be freed by anybody else: to_running
// finds no stale entry, to_idle kills nobody, and a queue entry owns no reference
// (DESIGN.md).
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "runtimes/core/task_state.hpp"

namespace duel {
namespace {

using ts = task_state;
using word_t = std::uint64_t;

// In the column "becomes": the operation does not exist in that state.
constexpr std::string_view asserted = "asserted";  // an invariant, checked by DUEL_ASSERT
constexpr std::string_view never = "never";        // the caller's duty

struct row {
  std::string_view operation, state;
  std::string_view spare;  // references: any, 0, 1, 1+, 2+
  std::string_view becomes, returns, so_the_caller;
};

constexpr row table[] = {
    // The worker that has the task from a queue.
    {"to_running", "rcN", "any", "Rn", "", "runs it"},
    {"to_running", "rcn", "any", asserted, "", "no run was owed"},
    {"to_running", "R", "any", asserted, "", "it was in a queue and running"},
    {"to_running", "C", "any", asserted, "", "it was in a queue and complete"},

    // The same, after the switch out of a task that waits.
    {"to_idle", "Rn", "any", "r", "none", "forgets it: it may already run elsewhere"},
    {"to_idle", "RN", "any", "r", "enqueue", "puts it at the back of its queue"},
    {"to_idle", "r", "any", asserted, "", "it did not run"},

    // The task itself, its body done. N and X stay and mean nothing any more.
    {"to_complete(result)", "RJw", "any", "rC", "done", "gives the life reference back"},
    {"to_complete(result)", "RJW", "any", "rC", "done, join_waker", "wakes the joiner"},
    {"to_complete(result)", "Rj", "any", "", "", "drops the result, then tries again"},
    {"to_complete(result)", "r", "any", asserted, "", "it did not run"},
    {"to_complete(nothing)", "Rw", "any", "rC", "done", "gives the life reference back"},
    {"to_complete(nothing)", "RW", "any", "rC", "done, join_waker", "wakes the joiner"},
    {"to_complete(nothing)", "r", "any", asserted, "", "it did not run"},

    // Whoever holds a waker, on any thread. A message of another shard may come when the
    // last reference is gone; the task is complete by then.
    {"wake", "rcn", "any", "N", "enqueue", "schedules it"},
    {"wake", "rcN", "any", "", "none", "is done: it will run (written all the same, S1)"},
    {"wake", "Rn", "any", "N", "none", "is done: to_idle will see it"},
    {"wake", "RN", "any", "", "none", "is done (written all the same, S1)"},
    {"wake", "C", "any", "", "none", "is done: nobody waits"},

    // Whoever holds a reference, on any thread.
    {"cancel", "rcn", "any", "NX", "enqueue", "schedules it: its wait ends"},
    {"cancel", "rcN", "any", "X", "none", "is done: its next wait fails"},
    {"cancel", "R", "any", "NX", "none", "is done: its next wait fails"},
    {"cancel", "C", "any", "", "none", "is too late: the result stands"},

    // The handle, having put its waker into the cell.
    {"set_join_waker", "cJw", "any", "W", "true", "waits"},
    {"set_join_waker", "CJw", "any", "", "false", "keeps the waker, reads the result"},
    {"set_join_waker", "JW", "any", never, "", "a handle waits once"},
    {"set_join_waker", "j", "any", never, "", "there is no handle"},

    // The completing thread, having woken the joiner.
    {"unset_join_waker_after_complete", "CJW", "any", "w", "false", "leaves the cell"},
    {"unset_join_waker_after_complete", "CjW", "any", "w", "true", "destroys the waker"},
    {"unset_join_waker_after_complete", "Cw", "any", never, "", "nobody waits"},
    {"unset_join_waker_after_complete", "c", "any", never, "",
     "the cell is the handle's"},

    // The handle, leaving. It then gives its reference back.
    {"drop_join_interest", "cJ", "any", "jw", "waker", "empties the cell"},
    {"drop_join_interest", "CJw", "any", "j", "result, waker", "destroys both"},
    {"drop_join_interest", "CJW", "any", "j", "result", "leaves the cell to the other"},
    {"drop_join_interest", "j", "any", never, "", "there is no handle"},

    // Whoever holds a reference.
    {"add_reference", "c", "any", "+1", "", "has one more"},
    {"add_reference", "CJ", "any", "+1", "", "has one more"},
    {"add_reference", "CjW", "any", "+1", "", "has one more"},
    {"add_reference", "Cjw", "1+", "+1", "", "has one more"},
    {"add_reference", "Cjw", "0", never, "", "there is none: nobody may hold one"},
    {"drop_reference", "c", "1+", "-1", "none", "is gone"},
    {"drop_reference", "CJ", "1+", "-1", "none", "is gone"},
    {"drop_reference", "CjW", "1+", "-1", "none", "is gone"},
    {"drop_reference", "Cjw", "2+", "-1", "none", "is gone"},
    {"drop_reference", "Cjw", "1", "-1", "free_task", "frees the task"},
    {"drop_reference", "c", "0", never, "", "the life reference goes after C"},
    {"drop_reference", "CJ", "0", never, "", "the handle's goes after J"},
    {"drop_reference", "CjW", "0", never, "", "the completing thread's goes after W"},
    {"drop_reference", "Cjw", "0", asserted, "", "there was none"},

    // Anybody with a reference.
    {"is_complete", "c", "any", "", "false", "may not touch the result"},
    {"is_complete", "C", "any", "", "true", "may read the result, if it is the handle"},
    {"is_cancelled", "x", "any", "", "false", "goes on"},
    {"is_cancelled", "X", "any", "", "true", "fails its waits"},
};

// --- the operations ------------------------------------------------------------------

template <class Action>
std::string name_of(Action a) {
  return a == Action{} ? "none" : "enqueue";
}
template <>
std::string name_of(drop_action a) {
  return a == drop_action::none ? "none" : "free_task";
}
template <>
std::string name_of(bool b) {
  return b ? "true" : "false";
}
std::string both(bool a, std::string_view name_a, bool b, std::string_view name_b) {
  std::string names(a ? name_a : "");
  if (b) names += (a ? ", " : "") + std::string(name_b);
  return names;
}
template <>
std::string name_of(completion c) {
  return both(c.done, "done", c.join_waker, "join_waker");
}
template <>
std::string name_of(detachment d) {
  return both(d.drop_result, "result", d.drop_waker, "waker");
}

struct operation {
  std::string_view name;
  std::string (*apply)(ts&);
};
constexpr operation operations[] = {
    {"to_running", [](ts& s) { return s.to_running(), std::string(); }},
    {"to_idle", [](ts& s) { return name_of(s.to_idle()); }},
    {"to_complete(result)", [](ts& s) { return name_of(s.to_complete(true)); }},
    {"to_complete(nothing)", [](ts& s) { return name_of(s.to_complete(false)); }},
    {"wake", [](ts& s) { return name_of(s.wake()); }},
    {"cancel", [](ts& s) { return name_of(s.cancel()); }},
    {"set_join_waker", [](ts& s) { return name_of(s.set_join_waker()); }},
    {"unset_join_waker_after_complete",
     [](ts& s) { return name_of(s.unset_join_waker_after_complete()); }},
    {"drop_join_interest", [](ts& s) { return name_of(s.drop_join_interest()); }},
    {"add_reference", [](ts& s) { return s.add_reference(), std::string(); }},
    {"drop_reference", [](ts& s) { return name_of(s.drop_reference()); }},
    {"is_complete", [](ts& s) { return name_of(s.is_complete()); }},
    {"is_cancelled", [](ts& s) { return name_of(s.is_cancelled()); }},
};

// --- the states ----------------------------------------------------------------------

constexpr std::string_view letters = "RCNJWX";  // bit 0 and up
constexpr word_t all_flags = 63;

bool matches(word_t w, std::string_view state) {
  for (char c : state) {
    bool wanted = c < 'a';
    auto bit = letters.find(wanted ? c : static_cast<char>(c - 'a' + 'A'));
    if ((w >> bit & 1) != wanted) return false;
  }
  return true;
}
std::uint64_t accounted_for(word_t w) {
  return word_t{matches(w, "c")} + matches(w, "J") + matches(w, "CW");
}
std::uint64_t spare(word_t w) {
  return w / ts::one_reference - accounted_for(w);
}
bool has_spare(word_t w, std::string_view wanted) {
  if (wanted == "any") return true;
  auto n = static_cast<std::uint64_t>(wanted[0] - '0');
  return wanted.size() == 1 ? spare(w) == n : spare(w) >= n;
}

// Why the others cannot be: the result is published by leaving R; only a handle waits,
// and one that leaves before C takes its waker along; and references cannot be fewer than
// flags stand for. None at all: only mail finds the task.
bool is_legal(word_t w, bool exclusive) {
  return !matches(w, "RC") && !matches(w, "cjW") &&
         w / ts::one_reference >= accounted_for(w) &&
         (exclusive || w >= ts::one_reference);
}

std::vector<word_t> states(bool exclusive) {
  std::vector<word_t> all;
  for (word_t flags = 0; flags <= all_flags; ++flags) {
    for (std::uint64_t extra : {0, 1, 2, 3, 1'000'000}) {
      word_t w = flags + (accounted_for(flags) + extra) * ts::one_reference;
      if (is_legal(w, exclusive)) all.push_back(w);
    }
  }
  return all;
}

std::string shown(word_t w) {
  std::string text;
  for (std::size_t i = 0; i < letters.size(); ++i) {
    text += static_cast<char>(w >> i & 1 ? letters[i] : letters[i] - 'A' + 'a');
  }
  return text + " with " + std::to_string(w / ts::one_reference) + " references";
}

const row* row_of(std::string_view name, word_t w) {
  const row* found = nullptr;
  for (const row& r : table) {
    if (r.operation != name || !matches(w, r.state) || !has_spare(w, r.spare)) continue;
    EXPECT_EQ(found, nullptr) << name << " has two rows for " << shown(w);
    found = &r;
  }
  EXPECT_NE(found, nullptr) << name << " has no row for " << shown(w);
  return found;
}
bool exists(const row& r) {
  return r.becomes != asserted && r.becomes != never;
}

word_t after(const row& r, word_t w) {
  if (r.becomes == "+1") return w + ts::one_reference;
  if (r.becomes == "-1") return w - ts::one_reference;
  for (char c : r.becomes) {
    bool set = c < 'a';
    word_t bit = word_t{1} << letters.find(set ? c : static_cast<char>(c - 'a' + 'A'));
    w = set ? w | bit : w & ~bit;
  }
  return w;
}

// --- the tests -----------------------------------------------------------------------

class task_state_table : public testing::TestWithParam<bool> {};

TEST_P(task_state_table, every_operation_in_every_state) {
  std::set<const row*> used;
  for (const auto& op : operations) {
    for (word_t w : states(GetParam())) {
      const row* r = row_of(op.name, w);
      ASSERT_TRUE(r);
      used.insert(r);
      if (!exists(*r)) continue;
      ts state(GetParam(), w);
      EXPECT_EQ(op.apply(state), r->returns) << op.name << " of " << shown(w);
      EXPECT_EQ(state.word(), after(*r, w))
          << op.name << " of " << shown(w) << " gave " << shown(state.word());
      EXPECT_TRUE(is_legal(after(*r, w), true)) << op.name << " of " << shown(w);
    }
  }
  // Without a reference a shared task is gone: nothing is said about it.
  for (const row& r : table) {
    bool of_the_dead = r.state == "Cjw" && r.spare == "0";
    EXPECT_EQ(used.contains(&r), GetParam() || !of_the_dead)
        << r.operation << " of " << r.state << " with " << r.spare << " spare";
  }
}

TEST_P(task_state_table, what_is_asserted_aborts) {
  if (!checks_enabled) GTEST_SKIP() << "built without DUEL_CHECKS";
  for (const auto& op : operations) {
    for (word_t w : states(GetParam())) {
      const row* r = row_of(op.name, w);
      ASSERT_TRUE(r);
      if (r->becomes != asserted || spare(w) > 0) continue;
      ts state(GetParam(), w);
      EXPECT_DEATH((void)op.apply(state), "invariant broken") << op.name << shown(w);
    }
  }
}

// So is_legal() is neither too narrow nor too wide: from a new task, the table leads to
// all of these states and to no other.
TEST(task_state_table, leads_to_every_legal_state) {
  std::set<word_t> reached{ts::start};
  std::vector<word_t> next{ts::start};
  while (!next.empty()) {
    word_t w = next.back();
    next.pop_back();
    for (const auto& op : operations) {
      const row* r = row_of(op.name, w);
      ASSERT_TRUE(r);
      if (!exists(*r)) continue;
      word_t to = after(*r, w);
      EXPECT_TRUE(is_legal(to, true)) << op.name << " leads to " << shown(to);
      if (spare(to) <= 3 && reached.insert(to).second) next.push_back(to);
    }
  }
  for (word_t w : states(true)) {
    EXPECT_TRUE(reached.contains(w) || spare(w) > 3) << shown(w);
  }
}

INSTANTIATE_TEST_SUITE_P(access, task_state_table, testing::Values(false, true),
                         [](auto& param) {
                           return param.param ? "exclusive" : "shared";
                         });

}  // namespace
}  // namespace duel
