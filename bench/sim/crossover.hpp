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

// From where on stealing wins, within the handler times: whether and where the ratios
// pass 1, and the upper and lower ends of their intervals. A tie is no win.
struct crossover_verdict {
  enum class end {
    found,  // at `value`, between `low` and `high`; low is 0 if it may lie below them all
    below,  // at `high` or less: no handler time has a ratio of 1 or less
    never   // not even at the longest
  };

  end outcome = end::never;
  double value = 0, low = 0, high = 0;
};

struct crossover_curve {
  unsigned cores = 0;
  std::vector<crossover_point> points;
  double advantage = 0;         // of pooling, by formula
  double formula = 0;           // H* by it; at most 0: always, infinite: never
  crossover_verdict simulated;  // never where a point has no ratio
};

std::vector<crossover_curve> find_crossovers(const crossover_question& q,
                                             bool shows_progress);

crossover_verdict judge(const std::vector<double>& handlers,
                        const std::vector<estimate>& ratios);

// Where a ratio passes 1 upwards for good, between logarithms of handler times; nothing
// if it does not.
std::optional<double> crossing(const std::vector<double>& handlers,
                               const std::vector<double>& ratios);

}  // namespace duel::sim
