// sweep.hpp - many setups, each replicated, and what is concluded from each.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "bench/sim/engine.hpp"
#include "bench/sim/prediction.hpp"
#include "bench/sim/statistics.hpp"

namespace duel::sim {

struct point {
  setup given;
  std::vector<replication> runs;

  // Over the replications.
  estimate mean, achieved;
  std::array<estimate, 4> quantiles;  // at quantile_levels
  estimate utilisation;               // share of the cores' time, costs included
  estimate overhead;                  // CPU time a request beyond its demand
  estimate imbalance;                 // CPU time of the busiest core over the mean
  estimate steals, probes, wakes;     // a request
  double little = 0;                  // L / (lambda W), 1 if nothing was lost
  std::optional<prediction> theory;
  std::vector<std::string> taints;  // why the figures may mislead
};

// The requests before the first measured one that let an empty system fill.
std::uint64_t default_warmup(const setup& s);

// Runs and concludes; replications run side by side on `threads`.
std::vector<point> run_sweep(const std::vector<setup>& setups, unsigned replications,
                             unsigned threads, bool shows_progress);

}  // namespace duel::sim
