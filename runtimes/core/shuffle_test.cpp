// shuffle_test.cpp - what a shuffled order may be, and what DUEL_SHUFFLE is told.
//
// The class is tested in every build; which one the schedulers have is their build's.
#include "runtimes/core/shuffle.hpp"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <memory>
#include <numeric>
#include <vector>

#include "runtimes/core/blocking_scheduler.hpp"

namespace duel {
namespace {

using built = basic_shuffle<true>;

struct dummy : task {
  explicit dummy(scheduler& s) : task(s, false) {}
  void run_body() noexcept override {}
  void fail(std::exception_ptr) noexcept override {}
  void drop_result() noexcept override {}
};

struct no_scheduler final : blocking_scheduler {
  no_scheduler() : blocking_scheduler(nullptr, counters::writers::one) {}
  void run(std::move_only_function<void()>) override {}
  void spawn(task&) override {}
  std::string description() const override { return {}; }
};

// How often each order of the tasks 0, 1, .. came out, of `rounds`. `yields`: which of
// them yielded.
std::map<std::vector<int>, int> orders(std::vector<bool> yields, int rounds) {
  no_scheduler owner;
  std::vector<std::unique_ptr<dummy>> tasks;
  std::map<const task*, int> number;
  std::vector<task*> in_order;
  for (bool each : yields) {
    tasks.push_back(std::make_unique<dummy>(owner));
    tasks.back()->yields = each;
    number[tasks.back().get()] = static_cast<int>(in_order.size());
    in_order.push_back(tasks.back().get());
  }
  built order(1);
  std::map<std::vector<int>, int> seen;
  for (int i = 0; i < rounds; ++i) {
    auto ready = in_order;
    order.arrange(ready);
    std::vector<int> numbers;
    for (task* t : ready) numbers.push_back(number.at(t));
    ++seen[numbers];
  }
  return seen;
}

TEST(shuffle, tasks_that_were_woken_come_in_any_order) {
  auto seen = orders({false, false, false, false}, 2'400);
  EXPECT_EQ(seen.size(), 24u);
  for (auto& [order, times] : seen) EXPECT_GT(times, 50) << "about 100 each";
}

TEST(shuffle, a_task_that_yielded_stays_behind_those_before_it) {
  auto seen = orders({false, false, true, false, true}, 2'000);
  for (auto& [order, times] : seen) {
    auto place = [&order](int t) { return std::ranges::find(order, t) - order.begin(); };
    for (int yielder : {2, 4}) {
      for (int before = 0; before < yielder; ++before) {
        EXPECT_LT(place(before), place(yielder));
      }
    }
  }
  // 0 and 1 before 2, and 3 anywhere before 4.
  EXPECT_EQ(seen.size(), 8u);
}

TEST(shuffle, tasks_that_all_yielded_keep_their_order) {
  EXPECT_EQ(orders({true, true, true}, 100).size(), 1u);
  EXPECT_EQ(orders({}, 1).size(), 1u);
}

TEST(shuffle, each_worker_draws_its_own_numbers_and_always_the_same) {
  auto drawn = [](unsigned who) {
    built order(who);
    std::array<std::size_t, 16> numbers;
    for (auto& n : numbers) n = order.draw(1'000'000);
    return numbers;
  };
  EXPECT_EQ(drawn(1), drawn(1));
  EXPECT_NE(drawn(1), drawn(2));
}

// The variable is read once, so each case needs a process of its own.
template <class Shuffle>
void expect_said(const char* variable, const std::string& complaint,
                 const std::string& description) {
  EXPECT_EXIT(
      {
        variable ? ::setenv("DUEL_SHUFFLE", variable, 1) : ::unsetenv("DUEL_SHUFFLE");
        std::fprintf(stderr, "<%s><%s>", Shuffle::complaint().c_str(),
                     Shuffle::description().c_str());
        std::_Exit(Shuffle::is_on() == !description.empty() ? 0 : 1);
      },
      testing::ExitedWithCode(0), "<" + complaint + "><" + description + ">");
}

TEST(shuffle, says_what_the_variable_does) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  expect_said<built>(nullptr, "", "");
  expect_said<built>("7", "", " shuffle=7");
  expect_said<built>("18446744073709551615", "", " shuffle=18446744073709551615");
  for (std::string wrong : {"0", "", "x", "7x", "18446744073709551616"}) {
    expect_said<built>(wrong.c_str(), "DUEL_SHUFFLE: '" + wrong + "' is not a seed .*",
                       "");
  }
  expect_said<basic_shuffle<false>>(nullptr, "", "");
  expect_said<basic_shuffle<false>>("7", "DUEL_SHUFFLE is set, but this build .*", "");
}

// A child of the same kind: budgets are the usual ones unless a seed is on.
TEST(shuffle, draws_small_budgets_only_under_a_seed) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  auto least_and_most = [] {
    built order(0);
    std::uint16_t least = 128, most = 0;
    for (int i = 0; i < 1'000; ++i) {
      auto drawn = order.budget(128);
      least = std::min(least, drawn), most = std::max(most, drawn);
    }
    std::fprintf(stderr, "%d..%d", least, most);
    std::_Exit(0);
  };
  EXPECT_EXIT((::setenv("DUEL_SHUFFLE", "7", 1), least_and_most()),
              testing::ExitedWithCode(0), "^0..128");
  EXPECT_EXIT((::unsetenv("DUEL_SHUFFLE"), least_and_most()), testing::ExitedWithCode(0),
              "^128..128");
}

}  // namespace
}  // namespace duel
