#include "bench/sim/sweep.hpp"

#include <algorithm>
#include <cmath>

#include "bench/sim/parallel.hpp"

namespace duel::sim {

namespace {

// Of one figure of each replication.
template <typename Figure>
estimate over(const std::vector<replication>& runs, Figure figure) {
  std::vector<double> values;
  for (const auto& each : runs) values.push_back(figure(each));
  return estimate_of(values);
}

double each_request(const replication& r, double total) {
  return total / static_cast<double>(r.completed);
}

void find_taints(point& p) {
  auto lag = over(p.runs, [](const auto& r) { return r.achieved / r.offered; });
  if (!p.given.is_closed() && lag.value < 0.98) {
    p.taints.emplace_back("saturated: the queue grew all the time");
  }
  auto drift =
      over(p.runs, [](const auto& r) { return (r.second_half - r.first_half) / r.mean; });
  if (p.runs.size() > 1 && std::abs(drift.value) > 0.05 && !drift.holds(0)) {
    p.taints.emplace_back("unsettled: the second half differs from the first");
  }
  if (p.given.jobs < 100'000) {
    p.taints.emplace_back("p99.9 from fewer than 100 requests a replication beyond it");
  }
}

void conclude(point& p) {
  using run = const replication&;
  p.mean = over(p.runs, [](run r) { return r.mean; });
  p.achieved = over(p.runs, [](run r) { return r.achieved; });
  p.quantiles = {over(p.runs, [](run r) { return r.p50; }),
                 over(p.runs, [](run r) { return r.p90; }),
                 over(p.runs, [](run r) { return r.p99; }),
                 over(p.runs, [](run r) { return r.p999; })};
  auto cores = static_cast<double>(p.given.cores);
  p.utilisation = over(p.runs, [&](run r) { return r.busy_sum / r.duration / cores; });
  p.overhead = over(p.runs, [](run r) { return each_request(r, r.overhead_sum); });
  p.imbalance = over(p.runs, [&](run r) { return r.busiest * cores / r.busy_sum; });
  auto counted = [&](auto member) {
    return over(p.runs,
                [=](run r) { return each_request(r, static_cast<double>(r.*member)); });
  };
  p.steals = counted(&replication::steals);
  p.probes = counted(&replication::probes);
  p.wakes = counted(&replication::wakes);
  p.little = over(p.runs, [](run r) { return r.area / r.response_sum; }).value;
  p.theory = predict(p.given);
  find_taints(p);
}

}  // namespace

// A queue forgets its start within 1 / (1 - sqrt(rho))^2 services, of all cores together
// where they share it, of each where they do not; uneven services take longer.
std::uint64_t default_warmup(const setup& s) {
  auto jobs = static_cast<double>(s.jobs), cores = static_cast<double>(s.cores);
  double root = 1 - std::sqrt(std::min(0.999, s.load()));
  bool is_apart = s.policy == policy_kind::partitioned ||
                  s.policy == policy_kind::jsq_accept ||
                  s.policy == policy_kind::shard_sharing;
  double unevenness = (1 + s.demand_squared_cv()) / 2;
  double filling = 10 * cores + 10 * unevenness * (is_apart ? cores : 1) / (root * root);
  if (s.is_closed()) filling = 10.0 * s.connections;
  return static_cast<std::uint64_t>(std::max(jobs / 5, std::min(filling, jobs)));
}

std::vector<point> run_sweep(const std::vector<setup>& setups, unsigned replications,
                             unsigned threads, bool shows_progress) {
  std::vector<point> points;
  for (const auto& each : setups) {
    points.push_back({.given = each, .runs = std::vector<replication>(replications)});
  }
  for_each_index(setups.size() * replications, threads,
                 shows_progress ? "simulating" : "", [&](std::size_t i) {
                   auto& p = points[i / replications];
                   auto index = i % replications;
                   p.runs[index] = engine(p.given, index).run();
                 });
  for (auto& p : points) conclude(p);
  return points;
}

}  // namespace duel::sim
