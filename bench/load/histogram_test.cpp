// A percentile is at most 1 % above the exact one and never below it; merging is adding.
#include "bench/load/histogram.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <sstream>
#include <vector>

namespace duel::load {
namespace {

using values = std::vector<std::uint64_t>;

// Durations of every magnitude.
rc::Gen<values> durations() {
  return rc::gen::container<values>(rc::gen::exec([] {
    auto bits = *rc::gen::inRange(0U, histogram::value_bits + 1);
    return *rc::gen::arbitrary<std::uint64_t>() & ((std::uint64_t{1} << bits) - 1);
  }));
}

histogram of(const values& all) {
  histogram made;
  for (auto value : all) made.add(value);
  return made;
}

std::uint64_t exact(values all, double fraction) {
  std::ranges::sort(all);
  auto rank = static_cast<std::size_t>(
      std::max(1.0, std::ceil(fraction * static_cast<double>(all.size()))));
  return all[rank - 1];
}

TEST(histogram, buckets_follow_each_other) {
  for (std::size_t i = 0; i + 1 < histogram::buckets; ++i) {
    ASSERT_EQ(histogram::index_of(histogram::lowest(i)), i);
    ASSERT_EQ(histogram::index_of(histogram::highest(i)), i);
    ASSERT_EQ(histogram::highest(i) + 1, histogram::lowest(i + 1));
    auto low = static_cast<double>(histogram::lowest(i));
    ASSERT_LE(static_cast<double>(histogram::highest(i)), low * 1.01) << i;
  }
  EXPECT_EQ(histogram::highest(histogram::buckets - 1),
            (std::uint64_t{1} << histogram::value_bits) - 1);
}

RC_GTEST_PROP(histogram, percentiles_are_within_one_percent, ()) {
  auto all = *rc::gen::suchThat(durations(), [](const values& v) { return !v.empty(); });
  auto fraction = *rc::gen::elementOf(std::vector{0.0, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0});
  auto shown = of(all).percentile(fraction), wanted = exact(all, fraction);
  RC_ASSERT(shown >= wanted);
  RC_ASSERT(static_cast<double>(shown) <= static_cast<double>(wanted) * 1.01);
}

RC_GTEST_PROP(histogram, count_mean_and_max_are_exact, ()) {
  auto all = *durations();
  auto made = of(all);
  RC_ASSERT(made.count() == all.size());
  if (all.empty()) return;
  double sum = std::accumulate(all.begin(), all.end(), 0.0);
  RC_ASSERT(std::abs(made.mean() * static_cast<double>(all.size()) - sum) <= sum * 1e-12);
  RC_ASSERT(made.max() == *std::ranges::max_element(all));
}

RC_GTEST_PROP(histogram, merged_is_what_one_would_have_counted, ()) {
  auto some = *durations(), others = *durations();
  histogram merged = of(some);
  values all = some;
  merged.merge(of(others));
  all.insert(all.end(), others.begin(), others.end());
  auto whole = of(all);
  RC_ASSERT(merged.count() == whole.count());
  RC_ASSERT(merged.max() == whole.max());
  for (std::size_t i = 0; i < histogram::buckets; ++i) {
    RC_ASSERT(merged.count_in(i) == whole.count_in(i));
  }
}

TEST(histogram, what_is_too_long_keeps_its_maximum) {
  histogram made;
  made.add(std::uint64_t{1} << 60);
  EXPECT_EQ(made.percentile(0.5), std::uint64_t{1} << 60);
  EXPECT_EQ(made.max(), std::uint64_t{1} << 60);
}

TEST(histogram, of_nothing) {
  histogram none;
  EXPECT_EQ(none.percentile(0.99), 0U);
  EXPECT_EQ(none.mean(), 0);
  EXPECT_NE(none.to_hgrm().find("Total count    =            0"), std::string::npos);
}

TEST(histogram, hgrm_climbs_to_the_last_value) {
  histogram made;
  std::mt19937_64 random(3);
  std::exponential_distribution<double> gap(1.0);
  for (int i = 0; i < 100'000; ++i)
    made.add(static_cast<std::uint64_t>(gap(random) * 1e6));
  std::istringstream text(made.to_hgrm());
  std::string line;
  std::getline(text, line);
  EXPECT_NE(line.find("1/(1-Percentile)"), std::string::npos);
  double value = 0, fraction = 0, last_value = 0, last_fraction = -1, rest = 0;
  std::uint64_t count = 0, last_count = 0;
  int rows = 0;
  while (text >> value >> fraction >> count) {
    ++rows;
    EXPECT_GE(value, last_value);
    EXPECT_GT(fraction, last_fraction);
    EXPECT_GE(count, last_count);
    last_value = value, last_fraction = fraction, last_count = count;
    if (fraction < 1) {
      text >> rest;
      EXPECT_NEAR(rest, 1 / (1 - fraction), rest * 0.01);
    } else {
      text >> line;
    }
  }
  EXPECT_GT(rows, 50);
  EXPECT_EQ(last_fraction, 1);
  EXPECT_EQ(last_count, made.count());
  EXPECT_NEAR(last_value, static_cast<double>(made.max()) / 1e6, 1e-5);
}

}  // namespace
}  // namespace duel::load
