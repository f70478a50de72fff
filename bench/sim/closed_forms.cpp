#include "bench/sim/closed_forms.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace duel::sim::closed {

namespace {

// Where `rising` passes `wanted`, between `low` and where doubling from `high` gets to.
template <typename Function>
double solve(Function&& rising, double wanted, double low, double high) {
  while (rising(high) < wanted && high < 1e12) low = high, high *= 2;
  for (int i = 0; i < 200 && high - low > 1e-13 * high; ++i) {
    double middle = (low + high) / 2;
    (rising(middle) < wanted ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace

double erlang_b(unsigned k, double a) {
  double b = 1;
  for (unsigned n = 1; n <= k; ++n) b = a * b / (n + a * b);
  return b;
}

double erlang_c(unsigned k, double rho) {
  double b = erlang_b(k, k * rho);
  return b / (1 - rho * (1 - b));
}

double mmk::wait() const {
  return erlang_c(k, rho) * s / (k * (1 - rho));
}

double mmk::tail(double t) const {
  double c = erlang_c(k, rho), mu = 1 / s, theta = k * mu * (1 - rho);
  // Where both rates are the same, the general form is 0/0.
  if (std::abs(theta - mu) < 1e-7 * mu) return std::exp(-mu * t) * (1 + c * mu * t);
  double both = theta * std::exp(-mu * t) - mu * std::exp(-theta * t);
  return (1 - c) * std::exp(-mu * t) + c * both / (theta - mu);
}

double mmk::quantile(double p) const {
  return solve([&](double t) { return 1 - tail(t); }, p, 0, s);
}

double mg1_mean(double rho, double c2, double s) {
  return s + rho * s * (1 + c2) / (2 * (1 - rho));
}

double mgk_mean(unsigned k, double rho, double c2, double s) {
  return s + (1 + c2) / 2 * mmk{k, rho, s}.wait();
}

// The number in the system moves as in M/M/k, whatever the distribution.
double mgk_sharing_mean(unsigned k, double rho, double s) {
  return mmk{k, rho, s}.mean();
}

// Birth and death: weights relative to the largest so far, lest they overflow.
closed_loop mmk_closed_loop(unsigned k, unsigned connections, double z, double s) {
  double weight = 1, sum = 1, in_system = 0, busy = 0;
  for (unsigned n = 1; n <= connections; ++n) {
    double down = std::min(n, k) / s;
    // Without thinking all are in the system all the time.
    if (z == 0) {
      weight = sum = 1;
      in_system = n, busy = std::min(n, k);
      continue;
    }
    weight *= (connections - n + 1) / z / down;
    sum += weight;
    in_system += n * weight;
    busy += std::min(n, k) * weight;
    if (weight > 1e100) {
      sum /= weight, in_system /= weight, busy /= weight;
      weight = 1;
    }
  }
  double throughput = busy / sum / s;
  return {.mean = in_system / sum / throughput, .throughput = throughput};
}

double usable_load(unsigned k, double limit, double p) {
  auto meets = [&](double rho) { return mmk{k, rho, 1}.tail(limit) <= 1 - p; };
  double low = 0, high = 1;
  if (!meets(0)) return 0;
  for (int i = 0; i < 60; ++i) {
    double middle = (low + high) / 2;
    (meets(middle) ? low : high) = middle;
  }
  return low;
}

double pooling_advantage(unsigned k, double limit, double p) {
  return usable_load(k, limit, p) / usable_load(1, limit, p);
}

double break_even(double pooled_cost, double partitioned_cost, double advantage) {
  if (advantage <= 1) return std::numeric_limits<double>::infinity();
  return (pooled_cost - advantage * partitioned_cost) / (advantage - 1);
}

imbalance hash_imbalance(unsigned connections, unsigned shards, unsigned trials,
                         std::uint64_t seed) {
  random_stream random(seed, 0, random_stream::purpose::placement);
  std::vector<unsigned> most(trials), counts(shards);
  double idle = 0;
  for (auto& each : most) {
    std::ranges::fill(counts, 0);
    for (unsigned i = 0; i < connections; ++i) ++counts[random.below(shards)];
    each = std::ranges::max(counts);
    idle += static_cast<double>(std::ranges::count(counts, 0u));
  }
  std::ranges::sort(most);
  double mean = static_cast<double>(connections) / shards;
  return {.median = most[trials / 2] / mean,
          .p95 = most[trials * 95ull / 100] / mean,
          .idle_shards = idle / trials};
}

}  // namespace duel::sim::closed
