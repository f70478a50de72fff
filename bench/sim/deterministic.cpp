// deterministic.cpp - M/D/k. All sums have positive terms only: the textbook series for
// the waiting time alternates and loses all digits in a long queue.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "bench/sim/closed_forms.hpp"

namespace duel::sim::closed {

namespace {

double poisson(double mean, double n) {
  if (mean == 0) return n == 0 ? 1 : 0;
  return std::exp(n * std::log(mean) - mean - std::lgamma(n + 1));
}

// Beyond this many in the system less than 1e-12 is left.
std::size_t most_in_system(unsigned k, double rho) {
  double spread = 20 * std::sqrt(static_cast<double>(k));
  return static_cast<std::size_t>(k + spread + 50 + 20 / (1 - rho));
}

}  // namespace

mdk::mdk(unsigned k, double rho, double s) : k_(k), rho_(rho), s_(s) {
  at_most_.assign(most_in_system(k, rho), 0);
  k == 1 ? solve_one() : solve_many();
  double waiting = 0;
  for (std::size_t n = k; n < at_most_.size(); ++n) {
    waiting += static_cast<double>(n - k) * at_most_[n];
  }
  wait_ = waiting * s_ / (k * rho);
  std::partial_sum(at_most_.begin(), at_most_.end(), at_most_.begin());
}

// As many go up through a level as down: each probability from the lower ones.
void mdk::solve_one() {
  auto& p = at_most_;
  std::vector<double> at_least(p.size() + 1);  // arrivals in a service time
  for (std::size_t n = p.size(); n-- > 0;) {
    at_least[n] = at_least[n + 1] + poisson(rho_, static_cast<double>(n));
  }
  p[0] = 1 - rho_;
  for (std::size_t n = 1; n < p.size(); ++n) {
    double up = p[0] * at_least[n];
    for (std::size_t i = 1; i < n; ++i) up += p[i] * at_least[n - i + 1];
    p[n] = up / poisson(rho_, 0);
  }
}

// A service time later those in service have left and the arrivals meanwhile have come;
// repeated until nothing changes.
void mdk::solve_many() {
  auto& p = at_most_;
  double mean = k_ * rho_;
  double spread = 9 * std::sqrt(mean) + 12;
  auto first = static_cast<std::size_t>(std::max(0.0, mean - spread));
  std::vector<double> arrivals;
  for (std::size_t n = first; n <= static_cast<std::size_t>(mean + spread); ++n) {
    arrivals.push_back(poisson(mean, static_cast<double>(n)));
  }
  p[std::min(p.size() - 1, static_cast<std::size_t>(mean))] = 1;
  std::vector<double> later(p.size());
  for (int step = 0; step < 100'000; ++step) {
    std::ranges::fill(later, 0);
    for (std::size_t n = 0; n < p.size(); ++n) {
      std::size_t stay = (n > k_ ? n - k_ : 0) + first;
      if (p[n] < 1e-18 || stay >= p.size()) continue;
      auto fit = std::min(arrivals.size(), p.size() - stay);
      for (std::size_t a = 0; a < fit; ++a) later[stay + a] += p[n] * arrivals[a];
    }
    double sum = std::accumulate(later.begin(), later.end(), 0.0), change = 0;
    for (std::size_t n = 0; n < p.size(); ++n) {
      later[n] /= sum;
      change += std::abs(later[n] - p[n]);
    }
    p.swap(later);
    // The rest shrinks by about (1 - rho)^2 a step: stop when all of it is below 1e-9.
    if (change < 1e-9 * (1 - rho_) * (1 - rho_)) break;
  }
}

double mdk::waits_at_most(double t) const {
  if (t < 0) return 0;
  double services = std::floor(t / s_) + 1;
  double mean = k_ * rho_ * (services - t / s_);
  auto terms = static_cast<std::size_t>(services) * k_;
  double sum = 0;
  for (std::size_t j = 0; j < terms; ++j) {
    // At most this many in the system: `k` in service and the rest waiting.
    auto n = std::min(at_most_.size() - 1, terms - 1 - j + k_);
    sum += at_most_[n] * poisson(mean, static_cast<double>(j));
    if (static_cast<double>(j) > mean + 10 * std::sqrt(mean) + 30) break;
  }
  return std::min(1.0, sum);
}

double mdk::quantile(double p) const {
  if (waits_at_most(0) >= p) return s_;
  double low = 0, high = s_;
  while (waits_at_most(high) < p) low = high, high *= 2;
  for (int i = 0; i < 60; ++i) {
    double middle = (low + high) / 2;
    (waits_at_most(middle) < p ? low : high) = middle;
  }
  return s_ + high;
}

}  // namespace duel::sim::closed
