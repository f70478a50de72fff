#include "bench/sim/statistics.hpp"

#include <array>
#include <cmath>
#include <limits>

namespace duel::sim {

double student_t(std::size_t degrees) {
  static constexpr std::array table{
      12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
      2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
      2.080,  2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042};
  if (degrees == 0) return std::numeric_limits<double>::infinity();
  if (degrees <= table.size()) return table[degrees - 1];
  auto n = static_cast<double>(degrees);
  return 1.959964 + 2.3723 / n + 2.8225 / (n * n);
}

estimate estimate_of(std::span<const double> values) {
  auto n = static_cast<double>(values.size());
  double sum = 0, squares = 0;
  for (double each : values) sum += each;
  double mean = sum / n;
  for (double each : values) squares += (each - mean) * (each - mean);
  if (values.size() < 2) return {mean, std::numeric_limits<double>::infinity()};
  double t = student_t(values.size() - 1);
  return {mean, t * std::sqrt(squares / (n - 1) / n)};
}

}  // namespace duel::sim
