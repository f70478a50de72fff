// parts_test.cpp - distributions, arrivals, quantiles, intervals, lists, the crossing.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <fstream>

#include "bench/sim/fields.hpp"
#include "bench/sim/parallel.hpp"
#include "bench/sim/report.hpp"
#include "bench/sim/testing.hpp"

namespace duel::sim {
namespace {

random_stream drawn(std::uint64_t seed = 1) {
  return {seed, 0, random_stream::purpose::service};
}

// The figures are of another implementation, in another language.
TEST(random_stream, is_the_same_everywhere) {
  auto random = drawn();
  auto first = random.next(), second = random.next();
  EXPECT_EQ(first, 7947073676748576142u);
  EXPECT_EQ(second, 14344856537915167364u);
}

TEST(random_stream, differs_by_seed_replication_and_purpose) {
  using purpose = random_stream::purpose;
  std::vector<std::uint64_t> seen;
  for (std::uint64_t seed : {0, 1, 2}) {
    for (std::uint64_t replication : {0, 1, 2}) {
      for (auto what : {purpose::arrivals, purpose::service, purpose::placement}) {
        seen.push_back(random_stream(seed, replication, what).next());
      }
    }
  }
  std::ranges::sort(seen);
  EXPECT_EQ(std::ranges::adjacent_find(seen), seen.end());
}

TEST(service_time, has_the_moments_it_says) {
  // The last three are cut at 10 s.
  for (const char* text :
       {"det:7", "exp:7us", "bimodal:1us,61us,0.1", "lognormal:7us,1", "pareto:7us,4.5",
        "pareto:5s,1.5", "pareto:4s,2", "lognormal:3s,1.5"}) {
    auto s = testing::service(text);
    auto random = drawn();
    double sum = 0, squares = 0, n = 400'000;
    for (int i = 0; i < static_cast<int>(n); ++i) {
      double x = s.draw(random);
      sum += x, squares += x * x;
    }
    double mean = sum / n, squared_cv = squares / n / (mean * mean) - 1;
    EXPECT_NEAR(mean, s.mean(), 0.01 * s.mean()) << text;
    EXPECT_NEAR(squared_cv, s.squared_cv(), 0.03 * s.squared_cv() + 1e-9) << text;
  }
  EXPECT_NEAR(testing::service("bimodal:0.5,5.5,0.1").squared_cv(), 2.25, 1e-12);
}

TEST(service_time, is_written_as_for_the_load_generator) {
  EXPECT_DOUBLE_EQ(testing::service("det:50us").mean(), 50);
  EXPECT_DOUBLE_EQ(testing::service("det:1.5ms").mean(), 1500);
  EXPECT_DOUBLE_EQ(testing::service("exp:2s").mean(), 2e6);
  EXPECT_DOUBLE_EQ(testing::service("exp:50").mean(), 50);
  auto two = testing::service("bimodal:10us,1ms,0.01");
  EXPECT_DOUBLE_EQ(two.mean(), 19.9);
  EXPECT_DOUBLE_EQ(two.short_limit(), 505);
  EXPECT_NEAR(testing::service("lognormal:50us,0.5").squared_cv(), std::exp(0.25) - 1,
              1e-9);
  // What is cut off has a mean of its own: 68.04 * 2 / sqrt(1e7).
  EXPECT_NEAR(testing::service("pareto:50us,1.5").mean(), 50 - 0.04303, 1e-4);
  auto random = drawn();
  auto tail = testing::service("pareto:5s,1.1");
  double most = 0;
  for (int i = 0; i < 10'000; ++i) most = std::max(most, tail.draw(random));
  EXPECT_EQ(most, service_time::longest);
  EXPECT_DOUBLE_EQ(two.scaled_to(199).short_limit(), 5050);
  EXPECT_NEAR(two.scaled_to(199).squared_cv(), two.squared_cv(), 1e-9);
}

TEST(service_time, refuses_nonsense) {
  for (const char* text : {"",
                           "exp",
                           "exponential:1",
                           "exp:1,2",
                           "exp:nan",
                           "exp:-1",
                           "exp:1h",
                           "exp:0",
                           "exp:us",
                           "det:11s",
                           "bimodal:1,2",
                           "bimodal:1,2,1.5",
                           "bimodal:1,2,nan",
                           "bimodal:1,11s,0.1",
                           "bimodal:0.9:0.5:5.5",
                           "lognormal:1",
                           "lognormal:1,-1",
                           "lognormal:1,200",
                           "lognormal:1,inf",
                           "pareto:1",
                           "pareto:1,1",
                           "pareto:1,nan",
                           "pareto:1,1us"}) {
    EXPECT_FALSE(service_time::parse(text)) << text;
  }
}

TEST(arrival_pattern, keeps_its_rate) {
  for (const char* text : {"poisson", "uniform", "batch:32", "onoff"}) {
    auto pattern = arrival_pattern::parse(text, 2, 6).value();
    auto random = drawn();
    double sum = 0, n = 400'000;
    for (int i = 0; i < static_cast<int>(n); ++i) sum += pattern.gap(4, random);
    EXPECT_NEAR(n / sum, 4, 0.12) << text;
  }
}

TEST(arrival_pattern, bursts_are_bursts) {
  auto batch = arrival_pattern::parse("batch:4").value();
  auto random = drawn();
  for (int i = 0; i < 100; ++i) {
    EXPECT_GT(batch.gap(1, random), 0);
    for (int j = 0; j < 3; ++j) EXPECT_EQ(batch.gap(1, random), 0);
  }
  auto count_long = [&](const char* text) {
    auto pattern = arrival_pattern::parse(text, 10, 30).value();
    int count = 0;
    for (int i = 0; i < 100'000; ++i) count += pattern.gap(1, random) > 10;
    return count;
  };
  EXPECT_LT(count_long("poisson"), 50);
  EXPECT_GT(count_long("onoff"), 1000);
}

// Bursts of 10 begin at 0, 40, 80 and so on; at whatever rate, none comes in between.
TEST(arrival_pattern, bursts_and_pauses_are_of_fixed_length) {
  for (double rate : {0.01, 1.0}) {
    auto pattern = arrival_pattern::parse("onoff", 10, 30).value();
    auto random = drawn();
    double at = 0;
    for (int i = 0; i < 10'000; ++i) {
      at += pattern.gap(rate, random);
      double phase = std::fmod(at, 40);
      EXPECT_TRUE(phase < 10 + 1e-6 || phase > 40 - 1e-6) << at;
    }
  }
}

TEST(arrival_pattern, refuses_nonsense) {
  for (const char* text : {"", "det", "poisson:1", "batch", "batch:0", "batch:1.5",
                           "batch:nan", "onoff:1:2"}) {
    EXPECT_FALSE(arrival_pattern::parse(text)) << text;
  }
}

TEST(histogram, quantiles_are_those_of_the_sorted_values) {
  auto random = drawn();
  histogram seen;
  std::vector<double> values(100'000);
  for (auto& each : values) seen.add(each = random.exponential(250));
  std::ranges::sort(values);
  for (double p : {0.001, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    auto rank = static_cast<std::size_t>(p * 99'999);
    EXPECT_NEAR(seen.quantile(p), values[rank], 0.001 * values[rank]) << p;
  }
}

TEST(histogram, a_constant_is_exact) {
  histogram seen;
  EXPECT_EQ(seen.quantile(0.5), 0);
  for (int i = 0; i < 10; ++i) seen.add(0.3);
  EXPECT_EQ(seen.quantile(0.01), 0.3);
  EXPECT_EQ(seen.quantile(0.99), 0.3);
}

TEST(histogram, takes_the_smallest_and_the_largest) {
  histogram seen;
  for (double each : {0.0, 1e-300, 1e300}) seen.add(each);
  EXPECT_EQ(seen.quantile(1), 1e300);
  EXPECT_EQ(seen.total(), 3u);
}

TEST(estimate, is_the_mean_and_students_half_width) {
  std::vector<double> values{1, 2, 3, 4};
  auto e = estimate_of(values);
  EXPECT_DOUBLE_EQ(e.value, 2.5);
  EXPECT_NEAR(e.half_width, 3.182 * 1.290994 / 2, 1e-4);
  EXPECT_TRUE(e.holds(4.5));
  EXPECT_FALSE(e.holds(4.6));
  EXPECT_TRUE(std::isinf(estimate_of(std::vector{1.0}).half_width));
}

TEST(student_t, is_right_beyond_its_table) {
  EXPECT_NEAR(student_t(40), 2.021, 1e-3);
  EXPECT_NEAR(student_t(120), 1.980, 1e-3);
  EXPECT_NEAR(student_t(1'000'000), 1.95996, 1e-4);
}

TEST(read_numbers, reads_lists_and_ranges) {
  EXPECT_EQ(read_numbers("0.1..0.5:0.1,0.95").value(),
            (std::vector<double>{0.1, 0.2, 0.3, 0.4, 0.5, 0.95}));
  EXPECT_EQ(read_numbers("8").value(), std::vector<double>{8});
  for (const char* text : {"", ",", "1,", "a", "1..2", "1..2:0", "2..1:1", "1..2:-1",
                           "0..1:1e-9", "nan", "1..inf:1"}) {
    EXPECT_FALSE(read_numbers(text)) << text;
  }
}

TEST(crossing, is_where_the_ratio_stays_above_one) {
  EXPECT_NEAR(crossing({1, 10, 100}, {0.5, 0.9, 1.1}).value(), std::sqrt(1000), 0.1);
  EXPECT_NEAR(crossing({1, 10, 100}, {1.1, 0.9, 1.1}).value(), std::sqrt(1000), 0.1);
  EXPECT_FALSE(crossing({1, 10}, {0.5, 0.9}));
  EXPECT_FALSE(crossing({1, 10}, {1.1, 1.2}));
}

// With equal costs pooling wins from the start, with a huge cost never; between, where
// theory for exponential services says.
TEST(crossover, is_found_where_it_is) {
  crossover_question q{.base = testing::open_loop(policy_kind::partitioned, 4, 0.5),
                       .cores = {4},
                       .handlers = {2, 8, 32, 128},
                       .stealing_cost = 5,
                       .sharded_cost = 5,
                       .limit = 10,
                       .replications = 3,
                       .threads = 2};
  q.base.jobs = 10'000;
  using end = crossover_verdict::end;
  EXPECT_EQ(find_crossovers(q, false)[0].simulated.outcome, end::below);
  q.stealing_cost = 10;
  auto found = find_crossovers(q, false)[0];
  EXPECT_EQ(found.simulated.outcome, end::found);
  EXPECT_GT(found.simulated.value, 2);
  EXPECT_LT(found.simulated.value, 32);
  EXPECT_LE(found.simulated.low, found.simulated.value);
  EXPECT_GE(found.simulated.high, found.simulated.value);
  // Costs matter less and less: at long handlers the ratio is that of the formula.
  EXPECT_NEAR(found.points.back().ratio.value().value, found.points.back().formula, 0.15);
  q.stealing_cost = 1000;
  EXPECT_EQ(find_crossovers(q, false)[0].simulated.outcome, end::never);
}

TEST(crossover, is_judged_by_intervals) {
  using end = crossover_verdict::end;
  std::vector<double> handlers{1, 10, 100};
  auto verdict = [&](std::vector<estimate> ratios) { return judge(handlers, ratios); };
  auto found = verdict({{0.8, 0.1}, {0.95, 0.1}, {1.2, 0.1}});
  EXPECT_EQ(found.outcome, end::found);
  EXPECT_LT(found.low, 10);
  EXPECT_GT(found.value, 10);
  EXPECT_GT(found.high, found.value);
  EXPECT_LT(found.high, 100);
  EXPECT_EQ(verdict({{0.95, 0.1}, {1.2, 0.1}, {1.3, 0.1}}).low, 0) << "below them all?";
  EXPECT_EQ(verdict({{0.8, 0.1}, {1.1, 0.2}, {1.1, 0.2}}).outcome, end::never) << "a tie";
  auto all = verdict({{1.2, 0.1}, {1.2, 0.1}, {1.2, 0.1}});
  EXPECT_EQ(all.outcome, end::below);
  EXPECT_EQ(all.high, 1);
  auto most = verdict({{1.05, 0.1}, {1.2, 0.1}, {1.2, 0.1}});
  EXPECT_EQ(most.outcome, end::below) << "the first is a tie, no win";
  EXPECT_GT(most.high, 1);
  EXPECT_LT(most.high, 10);
}

TEST(report, a_crossover_can_be_repeated_from_its_json) {
  crossover_question q{.base = testing::open_loop(policy_kind::partitioned, 4, 0.5)};
  q.base.arrivals = arrival_pattern::parse("onoff", 2000, 3000).value();
  q.base.connections = 8;
  q.base.zipf = 0.5;
  q.base.is_ordered = false;
  auto out = crossover_json(q, {});
  EXPECT_EQ(out["arrivals"], "onoff");
  EXPECT_EQ(out["burst_ms"], 2);
  EXPECT_EQ(out["gap_ms"], 3);
  EXPECT_EQ(out["zipf"], 0.5);
  EXPECT_EQ(out["ordered"], false);
}

TEST(for_each_index, passes_on_what_is_thrown) {
  std::atomic<int> calls{0};
  auto work = [&](std::size_t i) {
    ++calls;
    if (i == 3) throw std::runtime_error("three");
  };
  EXPECT_THROW(for_each_index(1000, 2, "", work), std::runtime_error);
  calls = 0;
  EXPECT_THROW(for_each_index(1000, 1, "", work), std::runtime_error);
  EXPECT_EQ(calls, 4);
}

TEST(sweep, names_what_misleads) {
  auto s = testing::open_loop(policy_kind::central, 2, 1.5);
  auto taints = testing::simulate(s).taints;
  ASSERT_GE(taints.size(), 2u);
  EXPECT_TRUE(taints[0].starts_with("saturated"));
  s = testing::open_loop(policy_kind::central, 2, 0.5);
  s.jobs = 100'000;
  EXPECT_TRUE(testing::simulate(s, 4).taints.empty());
}

TEST(report, json_says_what_was_given_and_what_came_out) {
  auto s = testing::open_loop(policy_kind::stealing, 2, 0.5);
  auto out = sweep_json(run_sweep({s}, 4, 2, false), 4);
  EXPECT_EQ(out["schema_version"], schema_version);
  const auto& row = out["rows"][0];
  EXPECT_EQ(row["given"]["policy"], "stealing");
  EXPECT_EQ(row["given"]["seed"], 1);
  EXPECT_LE(row["results"]["p99"]["low"], row["results"]["p99"]["value"]);
  EXPECT_EQ(row["closed_form"]["name"], "M/M/2");
  EXPECT_TRUE(row["closed_form"]["mean"]["inside"].is_boolean());
  EXPECT_FALSE(row["closed_form"].contains("p99")) << "only the mean is known";
}

TEST(report, json_is_written_whole_or_not_at_all) {
  auto path = ::testing::TempDir() + "sim_report.json";
  EXPECT_EQ(write_json(path, {{"a", 1}}), "");
  std::ifstream file(path);
  EXPECT_EQ(json::parse(file)["a"], 1);
  EXPECT_NE(write_json("/nonexistent/x.json", {}), "");
}

}  // namespace
}  // namespace duel::sim
