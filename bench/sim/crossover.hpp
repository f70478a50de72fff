// crossover.hpp - from which handler time on does stealing carry more than sharding?
//
// Capacity is the highest rate at which a model still answers p99 within a limit, in its
// own mean service times; the winner is the one with more capacity on the same cores.
#pragma once

#include <optional>
#include <vector>

#include "bench/sim/setup.hpp"
#include "bench/sim/statistics.hpp"

namespace duel::sim {

struct crossover_question {
  setup base;                    // service, connections, costs of stealing, jobs, seed
  std::vector<unsigned> cores;   // of each curve
  std::vector<double> handlers;  // mean handler times, ascending
  double stealing_cost = 0;      // a request, besides its handler
  double sharded_cost = 0;       // the same
  double limit = 10;             // p99 <= limit x (cost + handler)
  unsigned replications = 5, threads = 1;
};

struct crossover_point {
  double handler = 0;
  estimate stealing, sharded;     // usable load, of the model's own capacity at 100 %
  std::optional<estimate> ratio;  // of rates, stealing / sharded; none if neither can
  double formula = 0;             // the same, by M/M/k and k x M/M/1
};

struct crossover_curve {
  enum class end { found, always, never };  // stealing wins: from there on, or all along

  unsigned cores = 0;
  std::vector<crossover_point> points;
  double advantage = 0;      // of pooling, by formula
  double formula = 0;        // H* by it; at most 0: always, infinite: never
  end outcome = end::never;  // of the simulation, within the handler times
  double simulated = 0, low = 0, high = 0;  // H* and its interval, when found
};

std::vector<crossover_curve> find_crossovers(const crossover_question& q,
                                             bool shows_progress);

// Where a ratio passes 1 upwards for good, between logarithms of handler times; nothing
// if it does not.
std::optional<double> crossing(const std::vector<double>& handlers,
                               const std::vector<double>& ratios);

}  // namespace duel::sim
