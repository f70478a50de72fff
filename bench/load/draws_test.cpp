// What is drawn: arrivals and service times have the statistics they are named after, and
// are the same for the same seed. The bounds are several standard errors wide, and the
// seeds are fixed: a failure is a defect, not bad luck.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "bench/load/arrivals.hpp"
#include "bench/load/random.hpp"
#include "bench/load/service_times.hpp"

namespace duel::load {
namespace {

// All arrivals of all connections before `seconds`, in order.
std::vector<std::int64_t> merged(const arrival_plan& plan, std::size_t connections,
                                 double seconds) {
  std::vector<std::int64_t> all;
  auto parts = shares(connections, plan.zipf);
  for (std::size_t c = 0; c < connections; ++c) {
    for (arrival_stream s(plan, c, parts[c]); static_cast<double>(s.at()) < seconds * 1e9;
         s.advance()) {
      all.push_back(s.at());
    }
  }
  std::ranges::sort(all);
  return all;
}

struct spread {
  double mean, variation;
};

spread of_gaps(const std::vector<std::int64_t>& all) {
  double sum = 0, squares = 0;
  for (std::size_t i = 1; i < all.size(); ++i) {
    auto gap = static_cast<double>(all[i] - all[i - 1]);
    sum += gap, squares += gap * gap;
  }
  auto n = static_cast<double>(all.size() - 1);
  double mean = sum / n;
  return {mean, std::sqrt(squares / n - mean * mean) / mean};
}

TEST(arrivals, poisson_streams_add_up_to_a_poisson_stream) {
  for (double zipf : {0.0, 1.0}) {
    arrival_plan plan{.rate = 10'000, .zipf = zipf, .seed = 5};
    auto gaps = of_gaps(merged(plan, 100, 20));
    EXPECT_NEAR(gaps.mean, 100'000, 1'000) << zipf;  // 200,000 of them: 0.22 % each way
    EXPECT_NEAR(gaps.variation, 1, 0.02) << zipf;
  }
}

TEST(arrivals, uniform_ones_are_evenly_spaced) {
  arrival_plan plan{.kind = arrival_kind::uniform, .rate = 1000};
  auto all = merged(plan, 8, 2);
  ASSERT_EQ(all.size(), 2000U);
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_NEAR(static_cast<double>(all[i]), static_cast<double>(i) * 1e6, 2);
  }
}

TEST(arrivals, onoff_keeps_the_mean_rate_and_its_pauses) {
  arrival_plan plan{.kind = arrival_kind::onoff,
                    .rate = 10'000,
                    .burst_s = 0.1,
                    .gap_s = 0.4,
                    .seed = 2};
  auto all = merged(plan, 10, 20);
  EXPECT_NEAR(static_cast<double>(all.size()), 200'000, 2'000);
  for (auto at : all) ASSERT_LE(at % 500'000'000, 100'000'000);
}

TEST(arrivals, beyond_every_run_come_in_order) {
  for (auto kind : {arrival_kind::poisson, arrival_kind::uniform, arrival_kind::onoff}) {
    for (double rate : {1e-10, 1e-300}) {
      for (double zipf : {0.0, 10.0}) {
        arrival_plan plan{.kind = kind, .rate = rate, .gap_s = 0, .zipf = zipf};
        arrival_stream s(plan, 99, shares(100, zipf)[99]);
        for (int i = 0; i < 100; ++i) {
          auto before = s.at();
          s.advance();
          ASSERT_GE(s.at(), before);
        }
        ASSERT_GT(s.at(), 1'000'000'000'000'000'000) << "some decades";
        ASSERT_LE(s.at(), std::int64_t{1} << 62) << "a time can be added";
      }
    }
  }
}

TEST(arrivals, zipf_shares_fall_like_one_over_the_rank) {
  auto parts = shares(1000, 1);
  EXPECT_NEAR(parts[0] / parts[9], 10, 1e-9);
  EXPECT_NEAR(parts[0] / parts[999], 1000, 1e-6);
  arrival_plan plan{.rate = 10'000, .zipf = 1, .seed = 9};
  double wanted = parts[0] * plan.rate * 10;
  std::size_t of_first = 0;
  for (arrival_stream s(plan, 0, parts[0]); s.at() < 10'000'000'000; s.advance())
    ++of_first;
  EXPECT_NEAR(static_cast<double>(of_first), wanted, 5 * std::sqrt(wanted));
}

TEST(arrivals, depend_on_the_seed_and_on_nothing_else) {
  arrival_plan plan{.rate = 1000, .seed = 1}, other = plan;
  other.seed = 2;
  EXPECT_EQ(merged(plan, 10, 1), merged(plan, 10, 1));
  EXPECT_NE(merged(plan, 10, 1), merged(other, 10, 1));
}

TEST(random, values_differ_wherever_one_argument_does) {
  std::map<std::uint64_t, int> seen;
  for (std::uint64_t seed : {1, 2}) {
    for (auto what : {purpose::gap, purpose::service}) {
      for (std::uint64_t c = 0; c < 50; ++c) {
        for (std::uint64_t i = 0; i < 50; ++i) ++seen[draw(seed, what, c, i)];
      }
    }
  }
  EXPECT_EQ(seen.size(), 2U * 2 * 50 * 50);
}

class service_means : public testing::TestWithParam<const char*> {};

TEST_P(service_means, are_those_asked_for) {
  auto made = service_times::parse(GetParam());
  ASSERT_TRUE(made) << made.error();
  constexpr std::uint64_t n = 1'000'000;
  double sum = 0;
  for (std::uint64_t i = 0; i < n; ++i) {
    sum += static_cast<double>(made->us(7, i % 64, i / 64));
  }
  EXPECT_NEAR(sum / n, made->mean_us(), made->mean_us() * 0.02);
}

INSTANTIATE_TEST_SUITE_P(service_times, service_means,
                         testing::Values("det:50us", "det:2.5us", "exp:50us", "exp:1us",
                                         "bimodal:10us,1ms,0.05", "lognormal:50us,1",
                                         "pareto:50us,2.5"));

TEST(service_times, have_their_shape) {
  auto draw_all = [](const char* text) {
    auto made = service_times::parse(text);
    std::vector<std::uint64_t> all;
    for (std::uint64_t i = 0; i < 100'000; ++i) all.push_back(made->us(3, 0, i));
    std::ranges::sort(all);
    return all;
  };
  auto p = [](auto& all, double f) {
    return static_cast<double>(all[static_cast<std::size_t>(f * 100'000)]);
  };
  auto det = draw_all("det:50us");
  EXPECT_EQ(det.front(), 50U);
  EXPECT_EQ(det.back(), 50U);
  auto exponential = draw_all("exp:1ms");
  EXPECT_NEAR(p(exponential, 0.5), 1000 * std::log(2), 15);
  EXPECT_NEAR(p(exponential, 0.99), 1000 * std::log(100), 150);
  auto two = draw_all("bimodal:10us,1ms,0.05");
  EXPECT_EQ(p(two, 0.94), 10);
  EXPECT_EQ(p(two, 0.96), 1000);
  auto pareto = draw_all("pareto:1ms,2");  // from 500 us on
  EXPECT_NEAR(p(pareto, 0), 500, 1);
  EXPECT_NEAR(p(pareto, 0.99), 5000, 300);
  auto lognormal = draw_all("lognormal:1ms,1");
  EXPECT_NEAR(p(lognormal, 0.5), 1000 * std::exp(-0.5), 15);
}

TEST(service_times, are_the_same_for_the_same_seed) {
  auto made = service_times::parse("exp:1ms");
  bool differs = false;
  for (std::uint64_t i = 0; i < 100; ++i) {
    EXPECT_EQ(made->us(1, 2, i), made->us(1, 2, i));
    differs |= made->us(1, 2, i) != made->us(2, 2, i);
  }
  EXPECT_TRUE(differs);
}

TEST(service_times, that_make_no_sense_are_refused_by_name) {
  for (const char* text : {"", "exp", "exp:", "exp:50", "exp:-5us", "gauss:5us",
                           "exp:5us,3", "bimodal:1us,2us", "bimodal:1us,2us,2",
                           "pareto:5us,1", "det:11s", "lognormal:0us,1", "det:nanus"}) {
    auto made = service_times::parse(text);
    ASSERT_FALSE(made) << text;
    EXPECT_NE(made.error().find(text), std::string::npos);
  }
}

}  // namespace
}  // namespace duel::load
