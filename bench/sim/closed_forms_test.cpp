// closed_forms_test.cpp - the formulas against published figures, against each other and
// against chance.
#include "bench/sim/closed_forms.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace duel::sim::closed {
namespace {

constexpr std::array<unsigned, 5> cores{1, 2, 4, 8, 16};

double rounded(double value, double to) {
  return std::round(value / to) * to;
}

TEST(closed_forms, p99_of_mmk_is_as_printed) {
  struct line {
    double rho;
    std::array<double, 5> p99;
  };
  for (const auto& [rho, p99] :
       {line{0.5, {9.2, 5.7, 4.8, 4.6, 4.6}}, line{0.7, {15.4, 8.3, 5.5, 4.8, 4.6}},
        line{0.8, {23.0, 11.9, 6.9, 5.2, 4.7}}, line{0.9, {46.1, 23.3, 12.2, 7.1, 5.3}},
        line{0.95, {92.1, 46.3, 23.6, 12.4, 7.2}}}) {
    for (std::size_t i = 0; i < cores.size(); ++i) {
      EXPECT_NEAR(rounded(mmk{cores[i], rho}.quantile(0.99), 0.1), p99[i], 1e-9)
          << rho << " on " << cores[i];
    }
  }
}

TEST(closed_forms, mean_of_mmk_is_as_printed) {
  constexpr std::array means{5.00, 2.78, 1.75, 1.29, 1.10};
  for (std::size_t i = 0; i < cores.size(); ++i) {
    EXPECT_NEAR(rounded(mmk{cores[i], 0.8}.mean(), 0.01), means[i], 1e-9);
  }
}

TEST(closed_forms, usable_load_and_advantage_are_as_printed) {
  struct line {
    double limit;
    std::array<double, 5> load, advantage;
    double step;  // the last digit of the advantages
  };
  for (const auto& each :
       {line{6, {0.23, 0.54, 0.75, 0.87, 0.93}, {1, 2.3, 3.2, 3.7, 4.0}, 0.1},
        line{10, {0.54, 0.76, 0.88, 0.94, 0.97}, {1, 1.41, 1.62, 1.74, 1.79}, 0.01},
        line{20, {0.77, 0.88, 0.94, 0.97, 0.985}, {1, 1.15, 1.22, 1.26, 1.28}, 0.01},
        line{50, {0.91, 0.95, 0.98, 0.99, 0.99}, {1, 1.05, 1.08, 1.09, 1.10}, 0.01}}) {
    for (std::size_t i = 0; i < cores.size(); ++i) {
      EXPECT_NEAR(usable_load(cores[i], each.limit), each.load[i], 0.0051);
      EXPECT_NEAR(pooling_advantage(cores[i], each.limit), each.advantage[i],
                  each.step * 0.51)
          << each.limit << " on " << cores[i];
    }
  }
  EXPECT_EQ(usable_load(8, 4), 0) << "below the p99 of the service time alone";
}

TEST(closed_forms, break_even_is_as_printed) {
  EXPECT_NEAR(break_even(9.5, 5.15, pooling_advantage(4, 10)), 2, 0.5);
  EXPECT_NEAR(break_even(9.5, 5.15, pooling_advantage(4, 20)), 15, 1);
  EXPECT_NEAR(break_even(9.5, 5.15, pooling_advantage(4, 50)), 50, 5);
  EXPECT_TRUE(std::isinf(break_even(9.5, 5.15, 1)));
}

TEST(closed_forms, erlang_c_of_one_core_is_its_load) {
  EXPECT_DOUBLE_EQ(erlang_c(1, 0.3), 0.3);
  EXPECT_NEAR(erlang_c(2, 0.5), 1.0 / 3, 1e-12);
  EXPECT_GT(erlang_c(256, 0.99), 0);
}

TEST(closed_forms, tail_and_quantile_undo_each_other) {
  for (unsigned k : {1u, 2u, 8u, 256u}) {
    // 1 - 1/k is where the general form of the tail is 0/0.
    for (double rho : {0.01, 0.5, 1 - 1.0 / k, 0.99}) {
      if (rho == 0) continue;
      mmk form{k, rho, 3};
      for (double p : {0.5, 0.99, 0.9999}) {
        EXPECT_NEAR(form.tail(form.quantile(p)), 1 - p, 1e-9) << k << ' ' << rho;
      }
      EXPECT_DOUBLE_EQ(form.tail(0), 1);
    }
  }
}

TEST(closed_forms, general_service_meets_the_exponential_and_the_constant) {
  EXPECT_DOUBLE_EQ(mg1_mean(0.8, 1), mmk({1, 0.8}).mean());
  EXPECT_DOUBLE_EQ(mgk_mean(1, 0.8, 4), mg1_mean(0.8, 4));
  EXPECT_DOUBLE_EQ(mg1_mean(0.5, 0), 1.5);
}

TEST(closed_forms, md1_has_the_mean_of_pollaczek_and_khinchine) {
  for (double rho : {0.1, 0.5, 0.9, 0.99}) {
    EXPECT_NEAR(mdk(1, rho).mean(), mg1_mean(rho, 0), 1e-6) << rho;
    EXPECT_NEAR(mdk(1, rho).waits_at_most(0), 1 - rho, 1e-9);
  }
}

// P(W <= t) (1 - rho) sum of (-1)^j (rho (t - j))^j / j! e^(rho (t - j)): good for short
// t.
TEST(closed_forms, md1_waits_as_erlang_says) {
  for (double t : {0.3, 1.0, 2.5, 4.0}) {
    double sum = 0, rho = 0.6;
    for (int j = 0; j <= static_cast<int>(t); ++j) {
      double x = rho * (t - j);
      sum += std::pow(-x, j) / std::tgamma(j + 1) * std::exp(x);
    }
    EXPECT_NEAR(mdk(1, rho).waits_at_most(t), (1 - rho) * sum, 1e-9) << t;
  }
}

TEST(closed_forms, mdk_by_repetition_is_mdk_by_recursion_where_both_apply) {
  // Two cores at low load: an arrival waits only behind two others; Cosmetatos' mean.
  double rho = 0.5;
  double wait = mmk{2, rho}.wait() / 2 *
                (1 + (1 - rho) * (2 - 1) * (std::sqrt(4 + 5 * 2) - 2) / (16 * rho * 2));
  EXPECT_NEAR(mdk(2, rho).wait(), wait, 0.02 * wait);
  mdk many(8, 0.8);
  double step = 0.01, area = 0;
  for (double t = step / 2; t < 10; t += step) area += step * (1 - many.waits_at_most(t));
  EXPECT_NEAR(area, many.wait(), 1e-4) << "the tail's area is the mean";
}

TEST(closed_forms, a_closed_loop_keeps_the_interactive_law) {
  for (double z : {0.0, 1.0, 10.0}) {
    auto loop = mmk_closed_loop(4, 20, z);
    EXPECT_NEAR(loop.mean, 20 / loop.throughput - z, 1e-9);
    EXPECT_LE(loop.throughput, std::min(4.0, 20 / (1 + z)) + 1e-9);
  }
  EXPECT_NEAR(mmk_closed_loop(8, 8, 5).mean, 1, 1e-9) << "a core for each connection";
  EXPECT_NEAR(mmk_closed_loop(8, 100'000, 1).throughput, 8, 1e-6) << "no overflow";
}

TEST(closed_forms, hashing_luck_is_as_printed) {
  struct line {
    unsigned connections, shards;
    double median, p95, idle;
  };
  // The 95th percentile may be the neighbour's: one connection more or less.
  for (const auto& each :
       {line{16, 4, 1.5, 2.0, -1}, line{16, 8, 2, 3, 1}, line{16, 16, 3, 5, 5.7},
        line{32, 4, 1.38, 1.75, -1}, line{32, 8, 1.75, 2.25, -1},
        line{32, 16, 2.5, 3.5, 2}, line{64, 4, 1.25, 1.5, -1}, line{64, 8, 1.5, 1.88, -1},
        line{64, 16, 2, 2.5, -1}, line{256, 4, 1.12, 1.23, -1},
        line{256, 8, 1.25, 1.47, -1}, line{256, 16, 1.44, 1.69, -1},
        line{1000, 4, 1.06, 1.12, -1}, line{1000, 8, 1.12, 1.21, -1},
        line{1000, 16, 1.22, 1.36, -1}, line{4096, 4, 1.03, 1.06, -1},
        line{4096, 8, 1.06, 1.11, -1}, line{4096, 16, 1.11, 1.18, -1}}) {
    auto luck = hash_imbalance(each.connections, each.shards, 4000);
    double one = static_cast<double>(each.shards) / each.connections;
    EXPECT_NEAR(luck.median, each.median, 0.01 + one / 2) << each.connections;
    EXPECT_NEAR(luck.p95, each.p95, 0.01 + one) << each.connections;
    if (each.idle >= 0) {
      EXPECT_NEAR(luck.idle_shards, each.idle, 0.2);
    }
  }
}

}  // namespace
}  // namespace duel::sim::closed
