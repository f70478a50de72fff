// switches_test.cpp - which choices a model has, and what a wrong one is told.
#include "runtimes/switches.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace duel {
namespace {

std::string refusal(std::string model, std::string driver,
                    std::map<std::string, std::string> given) {
  auto made = switches::choose(model, driver, given);
  return made ? "chose " + made->describe() : made.error();
}

TEST(switches, have_defaults_that_depend_on_the_corner) {
  auto stealing = switches::choose("stealing", "epoll", {});
  auto sharded = switches::choose("sharded", "uring", {});
  ASSERT_TRUE(stealing && sharded);
  EXPECT_FALSE(stealing->is_on("pin"));
  EXPECT_TRUE(sharded->is_on("pin"));
  EXPECT_EQ(stealing->number("budget"), 128u);
  EXPECT_FALSE(stealing->has("accept"));
  EXPECT_TRUE(
      stealing->describe().starts_with("steal=half lifo=on queue=local reactor=shared"));
}

TEST(switches, take_words_and_numbers_in_range) {
  auto made = switches::choose("sharded", "uring", {{"flush", "32"}, {"spin-us", "0"}});
  ASSERT_TRUE(made) << made.error();
  EXPECT_EQ(made->number("flush"), 32u);
  made->force("uring-flags", "none");
  EXPECT_EQ(made->get("uring-flags"), "none");
  EXPECT_NE(made->describe().find("uring-flags=none"), std::string::npos);
}

TEST(switches, refuse_what_does_not_apply_or_does_not_exist) {
  EXPECT_EQ(refusal("sharded", "uring", {{"steal", "one"}}),
            "--steal does not apply to model sharded with driver uring (it is for model "
            "stealing)");
  EXPECT_EQ(refusal("stealing", "epoll", {{"uring-flags", "defer"}}),
            "--uring-flags does not apply to model stealing with driver epoll (it is for "
            "driver uring)");
  EXPECT_EQ(
      refusal("threads", "blocking", {{"budget", "5"}}),
      "--budget does not apply to model threads with driver blocking (it is for model "
      "stealing with driver epoll, model sharded)");
  EXPECT_TRUE(
      refusal("stealing", "uring", {{"budget", "5"}}).starts_with("--budget does not"))
      << "every operation gives way there";
  EXPECT_EQ(refusal("stealing", "epoll", {{"steal", "all"}}),
            "--steal: 'all' is not one of half|one|off (model stealing)");
  EXPECT_EQ(refusal("stealing", "epoll", {{"budget", "0"}}),
            "--budget: '0' is not one of 1..65535 (model stealing with driver epoll)");
  EXPECT_EQ(refusal("sharded", "uring", {{"flush", "1e3"}}),
            "--flush: '1e3' is not one of turn|idle|1..1024 (model sharded with driver "
            "uring)");
  EXPECT_EQ(refusal("stealing", "epoll", {{"colour", "red"}}), "no switch --colour");
}

TEST(switches, have_an_initial_value_among_their_values) {
  for (const model_switch& s : known_switches()) {
    std::string model(s.model.empty() ? "sharded" : s.model);
    std::string driver(s.driver.empty() ? "epoll" : s.driver);
    EXPECT_TRUE(
        switches::choose(model, driver, {{std::string(s.name), std::string(s.initial)}}))
        << s.name;
  }
}

}  // namespace
}  // namespace duel
