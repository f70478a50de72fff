// validation_test.cpp - the simulator against theory, with fixed seeds. Intervals are
// held to what they promise: about 95 of 100 hold the truth.
#include <gtest/gtest.h>

#include "bench/sim/closed_forms.hpp"
#include "bench/sim/parallel.hpp"
#include "bench/sim/testing.hpp"

namespace duel::sim {
namespace {

using testing::open_loop;
using testing::simulate;

struct coverage {
  int mean = 0, p99 = 0;
};

// Of 100 seeds.
coverage count_coverage(setup s) {
  std::vector<point> points(100);
  for_each_index(points.size(), 2, "", [&](std::size_t i) {
    auto seeded = s;
    seeded.seed = 1000 + i;
    points[i] = run_sweep({seeded}, 5, 1, false)[0];
  });
  coverage counted;
  for (const auto& p : points) {
    const auto& theory = p.theory.value();
    counted.mean += p.mean.holds(theory.mean);
    counted.p99 += p.quantiles[2].holds(theory.quantiles.value()[2]);
  }
  return counted;
}

void expect_sound(setup s, std::uint64_t jobs) {
  s.jobs = jobs;
  s.warmup = default_warmup(s);
  auto counted = count_coverage(s);
  // Of 100 draws at 95 %, fewer than 88 come once in 300; a quantile of a short run has a
  // little bias besides.
  EXPECT_GE(counted.mean, 88);
  EXPECT_GE(counted.p99, 86);
  std::printf("of 100 intervals %d hold the mean and %d the p99\n", counted.mean,
              counted.p99);
  EXPECT_LT(counted.mean, 100) << "an interval that always holds is too wide";
}

TEST(validation, intervals_of_mm1_are_sound) {
  expect_sound(open_loop(policy_kind::central, 1, 0.6), 6'000);
}

TEST(validation, intervals_of_mm8_are_sound) {
  expect_sound(open_loop(policy_kind::central, 8, 0.8), 10'000);
}

TEST(validation, intervals_of_md1_are_sound) {
  expect_sound(open_loop(policy_kind::central, 1, 0.6, "det:1"), 6'000);
}

TEST(validation, intervals_of_partitioned_are_sound) {
  expect_sound(open_loop(policy_kind::partitioned, 4, 0.5), 6'000);
}

void expect_near_theory(setup s, double tolerance) {
  s.jobs = 40'000;
  auto p = simulate(s);
  const auto& theory = p.theory.value();
  EXPECT_NEAR(p.mean.value, theory.mean, tolerance * theory.mean) << theory.name;
  for (std::size_t i = 0; theory.quantiles && i < 3; ++i) {
    double expected = (*theory.quantiles)[i];
    EXPECT_NEAR(p.quantiles[i].value, expected, 2 * tolerance * expected)
        << theory.name << ' ' << quantile_levels[i];
  }
  EXPECT_TRUE(theory.is_exact);
}

TEST(validation, exact_forms_hold_within_a_few_percent) {
  for (double load : {0.3, 0.7}) {
    for (const char* text : {"exp:1", "det:1"}) {
      for (unsigned k : {1u, 2u, 64u}) {
        expect_near_theory(open_loop(policy_kind::central, k, load, text), 0.03);
      }
      expect_near_theory(open_loop(policy_kind::partitioned, 8, load, text), 0.03);
    }
  }
  for (const char* text : {"bimodal:0.5,5.5,0.1", "lognormal:1,0.83", "pareto:1,4.5"}) {
    expect_near_theory(open_loop(policy_kind::central, 1, 0.7, text), 0.04);
    expect_near_theory(open_loop(policy_kind::partitioned, 8, 0.7, text), 0.04);
    expect_near_theory(open_loop(policy_kind::sharing, 1, 0.7, text), 0.04);
    expect_near_theory(open_loop(policy_kind::sharing, 4, 0.7, text), 0.04);
    expect_near_theory(open_loop(policy_kind::shard_sharing, 4, 0.7, text), 0.04);
  }
}

TEST(validation, the_closed_loop_is_the_machine_repair_model) {
  auto s = open_loop(policy_kind::central, 4, 0.5);
  s.rate = 0;
  s.connections = 12;
  s.think = 3;
  auto p = simulate(s);
  auto loop = closed::mmk_closed_loop(4, 12, 3);
  EXPECT_NEAR(p.mean.value, loop.mean, 0.02 * loop.mean);
  EXPECT_NEAR(p.achieved.value, loop.throughput, 0.02 * loop.throughput);
  EXPECT_NEAR(p.theory.value().mean, loop.mean, 1e-12);
}

// Mean and p99 on 8 cores, by a simulation of 25,000 requests: hence the tolerance. The
// last p99 is 43.4 there; four runs of 2,000,000 say 37.2 (36.5..37.9).
TEST(validation, tabled_service_times_come_out_as_tabled) {
  struct line {
    const char* service;
    double load, central_mean, central_p99, partitioned_mean, partitioned_p99;
  };
  for (const auto& each :
       {line{"det:1", 0.5, 1.01, 1.3, 1.5, 4.5}, line{"det:1", 0.7, 1.07, 1.7, 2.1, 7.0},
        line{"det:1", 0.8, 1.16, 2.4, 2.8, 10.0}, line{"exp:1", 0.5, 1.0, 4.5, 2.0, 9.0},
        line{"exp:1", 0.7, 1.1, 4.9, 3.2, 15.1}, line{"exp:1", 0.8, 1.3, 5.1, 5.3, 22.2},
        line{"bimodal:0.5,5.5,0.1", 0.5, 1.0, 5.5, 2.6, 13.6},
        line{"bimodal:0.5,5.5,0.1", 0.7, 1.2, 6.0, 4.8, 25.6},
        line{"bimodal:0.5,5.5,0.1", 0.8, 1.4, 7.1, 7.7, 37.2}}) {
    auto together = simulate(open_loop(policy_kind::central, 8, each.load, each.service));
    auto apart =
        simulate(open_loop(policy_kind::partitioned, 8, each.load, each.service));
    EXPECT_NEAR(together.mean.value, each.central_mean, 0.06 * each.central_mean);
    EXPECT_NEAR(together.quantiles[2].value, each.central_p99, 0.14 * each.central_p99);
    EXPECT_NEAR(apart.mean.value, each.partitioned_mean, 0.1 * each.partitioned_mean);
    EXPECT_NEAR(apart.quantiles[2].value, each.partitioned_p99,
                0.16 * each.partitioned_p99)
        << each.service << ' ' << each.load;
  }
}

}  // namespace
}  // namespace duel::sim
