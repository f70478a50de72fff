// closed_forms.hpp - queueing theory's answers, for lines beside measurements and for
// tests of the simulator. Pure functions; k cores, rho the load of each, s the mean
// service time.
#pragma once

#include <cstdint>
#include <vector>

#include "bench/sim/random.hpp"

namespace duel::sim::closed {

// The probability that k servers without a queue turn an arrival away, at a = k rho.
double erlang_b(unsigned k, double a);
// The probability that an arrival has to wait in M/M/k.
double erlang_c(unsigned k, double rho);

// M/M/k, first come first served; k = 1 is one of the cores of k x M/M/1.
struct mmk {
  unsigned k = 1;
  double rho = 0, s = 1;

  [[nodiscard]] double wait() const;
  [[nodiscard]] double mean() const { return s + wait(); }  // of the response
  [[nodiscard]] double tail(double t) const;                // P(response > t)
  [[nodiscard]] double quantile(double p) const;
};

// M/D/k, first come first served: the distribution of the number in the system one
// service time after another (Crommelin), and Franx's sum of positive terms for the
// waiting time.
class mdk {
 public:
  mdk(unsigned k, double rho, double s = 1);

  [[nodiscard]] double wait() const noexcept { return wait_; }
  [[nodiscard]] double mean() const noexcept { return s_ + wait_; }
  [[nodiscard]] double waits_at_most(double t) const;
  [[nodiscard]] double quantile(double p) const;  // of the response

 private:
  void solve_one();
  void solve_many();

  unsigned k_;
  double rho_, s_, wait_ = 0;
  std::vector<double> at_most_;  // P(number in system <= n)
};

// M/G/1: exact (Pollaczek and Khinchine). c2: squared coefficient of variation.
double mg1_mean(double rho, double c2, double s = 1);
// M/G/k: Lee and Longton's approximation; exact for k = 1 and for c2 = 1.
double mgk_mean(unsigned k, double rho, double c2, double s = 1);
// M/G/1 and M/G/k under processor sharing: the distribution's shape does not matter.
double mgk_sharing_mean(unsigned k, double rho, double s = 1);

// N connections that think for an exponential time z, then ask k cores, all exponential.
struct closed_loop {
  double mean = 0, throughput = 0;
};
closed_loop mmk_closed_loop(unsigned k, unsigned connections, double z, double s = 1);

// The highest rho at which M/M/k answers the share p within `limit` times s; 0 if none.
double usable_load(unsigned k, double limit, double p = 0.99);
// How much more load pooled cores carry than partitioned ones under the same limit.
double pooling_advantage(unsigned k, double limit, double p = 0.99);
// The handler time above which pooling pays, given the costs of a request; negative:
// always.
double break_even(double pooled_cost, double partitioned_cost, double advantage);

// Connections hashed to shards: the most loaded shard over the mean, and empty shards.
struct imbalance {
  double median = 0, p95 = 0, idle_shards = 0;
};
imbalance hash_imbalance(unsigned connections, unsigned shards, unsigned trials,
                         std::uint64_t seed = 1);

}  // namespace duel::sim::closed
