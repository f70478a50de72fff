// prediction.hpp - the closed form that belongs to a setup, where there is one.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "bench/sim/setup.hpp"

namespace duel::sim {

inline constexpr std::array quantile_levels{0.5, 0.9, 0.99, 0.999};

struct prediction {
  std::string name;
  bool is_exact = true;
  double mean = 0;
  std::optional<std::array<double, 4>> quantiles;  // at quantile_levels
};

// None where costs, connections or arrivals are not what a formula assumes.
std::optional<prediction> predict(const setup& s);

}  // namespace duel::sim
