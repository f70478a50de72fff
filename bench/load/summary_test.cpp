// What is held against a run, and what is not: the figures are made up, one run each.
#include "bench/load/summary.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace duel::load {
namespace {

// A run of one second in which nothing was wrong, until it is changed.
struct run {
  options o;
  window when{.start = 0, .begin = 0, .middle = second / 2, .end = second};
  tally counts;
  std::vector<connection_record> records;
  std::vector<cpu_use> threads{{.wall_s = 1, .cpu_s = 0.2, .wait_s = 0.1}};
  checks checked;

  run() { o.connections = 0; }
  void answer(std::size_t half, std::uint64_t n, std::uint64_t took = 1'000'000) {
    counts.answered[half] += n;
    for (; n > 0; --n) {
      counts.intended[half].add(took);
      counts.sent[half].add(took);
    }
  }
  void offer(double rate, std::uint64_t n) { o.arrivals.rate = rate, counts.offered = n; }
  connection_record& connection() {
    ++o.connections;
    return records.emplace_back(
        connection_record{.number = records.size(), .established = true, .asked = true});
  }
  [[nodiscard]] summary sum() const {
    return summarise(o, when, counts, records, threads, checked, false);
  }
  [[nodiscard]] bool has(std::string_view word) const {
    auto s = sum();
    return std::ranges::find(s.taints, word) != s.taints.end();
  }
};

TEST(summary, a_good_run_has_no_taint) {
  run r;
  r.offer(10'000, 10'000);
  r.answer(0, 5000), r.answer(1, 5000);
  r.connection().served = 10'000;
  EXPECT_TRUE(r.sum().taints.empty()) << as_text(r.sum());
}

TEST(summary, what_is_offered_and_not_achieved_is_told_from_one_percent_on) {
  run r;
  r.offer(1e6, 1'000'000);
  r.counts.answered = {493'000, 493'500};  // chance: 0.3 %
  EXPECT_TRUE(r.has("offered_not_achieved"));
  r.counts.answered = {494'000, 494'000};
  EXPECT_FALSE(r.has("offered_not_achieved"));
  r.offer(100, 100);
  r.counts.answered = {40, 40};
  EXPECT_FALSE(r.has("offered_not_achieved"));
  r.offer(1e-9, 0);
  r.counts.answered = {};
  EXPECT_FALSE(r.has("offered_not_achieved"));
}

TEST(summary, what_is_missing_taints_from_one_in_a_thousand_on) {
  run r;
  r.offer(10'000, 10'000);
  r.counts.censored = 10;
  EXPECT_FALSE(r.has("censored"));
  r.counts.censored = 11;
  EXPECT_TRUE(r.has("censored"));
}

TEST(summary, a_loader_that_waits_for_a_cpu_is_as_saturated_as_one_that_computes) {
  run r;
  EXPECT_FALSE(r.has("loader_saturated"));
  r.threads[0] = {.wall_s = 2, .cpu_s = 0.26, .wait_s = 1.5};
  EXPECT_TRUE(r.has("loader_saturated"));
  EXPECT_NE(as_text(r.sum()).find("Loader CPU: 13%, waiting for one: 75%"),
            std::string::npos);
  r.threads[0] = {.wall_s = 2, .cpu_s = 1.7, .wait_s = {}};
  EXPECT_TRUE(r.has("loader_saturated"));
}

TEST(summary, ids_that_no_answer_holds_are_not_checked) {
  run r;
  r.checked.ids = false;
  EXPECT_FALSE(r.has("ids_unchecked"));
  r.o.unique_ids = true;
  EXPECT_TRUE(r.has("ids_unchecked"));
}

TEST(summary, a_connection_that_pauses_is_not_starved) {
  run r;
  r.o.think_ms = 3000;
  for (int i = 0; i < 64; ++i) r.connection();
  for (std::size_t i = 0; i < 20; ++i) r.records[i].served = 1;
  r.answer(0, 10), r.answer(1, 10);
  EXPECT_TRUE(r.sum().taints.empty()) << as_text(r.sum());
  EXPECT_FALSE(r.sum().jain);
  r.records[63].waiting_since = r.when.begin + 1;
  ASSERT_EQ(r.sum().zero_served.size(), 1U);
  EXPECT_EQ(r.sum().zero_served[0].number, 63U);
  r.o.think_ms = 0;  // those that always ask had no answer
  EXPECT_EQ(r.sum().zero_served.size(), 44U);
}

TEST(summary, drift_is_more_than_chance) {
  run r;
  r.answer(0, 40);  // the other half is empty
  EXPECT_FALSE(r.has("drift"));
  r.answer(0, 400);
  EXPECT_TRUE(r.has("drift"));
  r.answer(1, 430);
  EXPECT_FALSE(r.has("drift"));
  run slower;
  slower.answer(0, 110), slower.answer(1, 99, 2'000'000);
  EXPECT_FALSE(slower.has("drift"));
  slower.answer(1, 11, 2'000'000);
  EXPECT_TRUE(slower.has("drift"));
}

TEST(summary, a_run_that_ends_in_its_first_half_has_no_second) {
  run r;
  r.when.end = second / 4;
  r.answer(0, 1000);
  EXPECT_FALSE(r.has("drift"));
  EXPECT_FALSE(r.sum().rate_of_half(1));
}

TEST(summary, little_s_law_allows_for_chance) {
  run r;
  for (int i = 0; i < 8; ++i) r.connection();
  r.answer(0, 500), r.answer(1, 500);  // 1000 a second, 1 ms each: 1 of 8 at work
  EXPECT_TRUE(r.has("littles_law"));
  run few;
  few.connection();
  few.answer(0, 10, 80'000'000);
  EXPECT_FALSE(few.has("littles_law"));
}

TEST(summary, what_was_not_measured_is_not_zero) {
  run r;
  r.connection();
  auto s = r.sum();
  auto text = as_text(s), json = as_json(s);
  EXPECT_EQ(text.find("0ns"), std::string::npos) << text;
  EXPECT_NE(text.find("Jain -"), std::string::npos) << text;
  EXPECT_NE(json.find("\"jain\": null"), std::string::npos);
  EXPECT_NE(json.find("\"littles_law\": null"), std::string::npos);
}

TEST(summary, a_limit_of_our_own_is_told_with_its_fix) {
  run r;
  r.counts.exhausted = 3, r.counts.exhausted_by = EADDRNOTAVAIL;
  EXPECT_TRUE(r.has("loader_exhausted"));
  EXPECT_FALSE(r.has("errors"));
  EXPECT_NE(as_text(r.sum()).find("Loader exhausted: 3 times EADDRNOTAVAIL"),
            std::string::npos);
}

TEST(summary, a_command_line_of_any_bytes_can_be_told) {
  run r;
  r.o.argv = {"duel-load", "--header", "X: \xff"};
  EXPECT_NE(as_json(r.sum()).find("X: \xef\xbf\xbd"), std::string::npos);
}

}  // namespace
}  // namespace duel::load
