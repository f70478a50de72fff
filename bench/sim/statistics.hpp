// statistics.hpp - a figure with its interval, from independent replications.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>

namespace duel::sim {

// The quantile 0.975 of Student's t.
double student_t(std::size_t degrees);

// The mean of the values; 95 % of such intervals hold what many more would approach. With
// less than two values the interval is unbounded.
struct estimate {
  double value = 0, half_width = 0;

  // Constant service times leave no spread to judge by.
  static constexpr double rounding = 1e-6;

  [[nodiscard]] double low() const noexcept { return value - half_width; }
  [[nodiscard]] double high() const noexcept { return value + half_width; }
  [[nodiscard]] bool holds(double truth) const noexcept {
    return std::abs(truth - value) <= half_width + rounding * std::abs(truth);
  }
};

estimate estimate_of(std::span<const double> values);

}  // namespace duel::sim
