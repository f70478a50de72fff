#include "bench/sim/crossover.hpp"

#include <algorithm>
#include <cmath>

#include "bench/sim/closed_forms.hpp"
#include "bench/sim/parallel.hpp"
#include "bench/sim/sweep.hpp"

namespace duel::sim {

namespace {

// The bisection's last step: of a load.
constexpr double resolution = 1.0 / 512;

// At least so many requests come to each core.
constexpr std::uint64_t least_a_core = 200;

double usable_load(setup s, double limit, std::uint64_t replication) {
  double low = 0, high = 1;
  while (high - low > resolution) {
    double load = (low + high) / 2;
    s.rate = load * s.cores / s.mean_demand();
    s.warmup = default_warmup(s);
    auto seen = engine(s, replication).run();
    bool keeps_up = seen.measured >= s.jobs && seen.achieved > 0.95 * seen.offered;
    bool meets = keeps_up && seen.p99 <= limit * s.mean_demand();
    (meets ? low : high) = load;
  }
  return low;
}

struct loads {
  double stealing = 0, sharded = 0;
};

loads measure(const crossover_question& q, unsigned cores, double handler,
              std::uint64_t replication) {
  auto s = q.base;
  s.cores = cores;
  s.service = q.base.service.scaled_to(handler);
  s.jobs = std::max(s.jobs, cores * least_a_core);
  s.cost.request = q.stealing_cost;
  s.policy = policy_kind::stealing;
  loads usable;
  usable.stealing = usable_load(s, q.limit, replication);
  s.cost.request = q.sharded_cost;
  s.policy = q.base.connections > 0 && q.base.policy == policy_kind::jsq_accept
                 ? policy_kind::jsq_accept
                 : policy_kind::partitioned;
  usable.sharded = usable_load(s, q.limit, replication);
  return usable;
}

// A rate is a load over the time of a request.
double ratio_of(const crossover_question& q, double handler, loads usable) {
  return usable.stealing / (q.stealing_cost + handler) /
         (usable.sharded / (q.sharded_cost + handler));
}

void conclude(const crossover_question& q, const std::vector<std::vector<loads>>& seen,
              crossover_curve& curve) {
  std::vector<estimate> ratios;
  for (std::size_t h = 0; h < q.handlers.size(); ++h) {
    std::vector<double> stealing, sharded, ratio;
    for (const auto& usable : seen[h]) {
      stealing.push_back(usable.stealing);
      sharded.push_back(usable.sharded);
      ratio.push_back(ratio_of(q, q.handlers[h], usable));
    }
    double handler = q.handlers[h];
    double costs = (q.sharded_cost + handler) / (q.stealing_cost + handler);
    crossover_point p{.handler = handler,
                      .stealing = estimate_of(stealing),
                      .sharded = estimate_of(sharded),
                      .formula = curve.advantage * costs};
    if (std::ranges::min(stealing) > 0 && std::ranges::min(sharded) > 0) {
      p.ratio = estimate_of(ratio);
      ratios.push_back(*p.ratio);
    }
    curve.points.push_back(p);
  }
  if (ratios.size() == q.handlers.size()) curve.simulated = judge(q.handlers, ratios);
}

}  // namespace

crossover_verdict judge(const std::vector<double>& handlers,
                        const std::vector<estimate>& ratios) {
  using end = crossover_verdict::end;
  if (!(ratios.back().low() > 1)) return {};
  auto where = [&](auto figure) {
    std::vector<double> values;
    for (const auto& each : ratios) values.push_back(figure(each));
    return crossing(handlers, values);
  };
  auto value = where([](const estimate& e) { return e.value; });
  auto low = where([](const estimate& e) { return e.high(); });
  auto high = where([](const estimate& e) { return e.low(); });
  return {.outcome = value ? end::found : end::below,
          .value = value.value_or(0),
          .low = low.value_or(0),
          .high = high.value_or(handlers.front())};
}

std::optional<double> crossing(const std::vector<double>& handlers,
                               const std::vector<double>& ratios) {
  if (ratios.empty() || !(ratios.back() > 1)) return {};
  auto above = ratios.size() - 1;
  while (above > 0 && ratios[above - 1] > 1) --above;
  if (above == 0) return {};
  double from = std::log(handlers[above - 1]), to = std::log(handlers[above]);
  double share = (1 - ratios[above - 1]) / (ratios[above] - ratios[above - 1]);
  return std::exp(from + share * (to - from));
}

std::vector<crossover_curve> find_crossovers(const crossover_question& q,
                                             bool shows_progress) {
  auto handlers = q.handlers.size();
  std::vector<std::vector<std::vector<loads>>> seen(
      q.cores.size(),
      std::vector(handlers, std::vector<loads>(std::size_t{q.replications})));
  for_each_index(q.cores.size() * handlers * q.replications, q.threads,
                 shows_progress ? "crossover" : "", [&](std::size_t i) {
                   auto r = i % q.replications, h = i / q.replications % handlers;
                   auto k = i / q.replications / handlers;
                   seen[k][h][r] = measure(q, q.cores[k], q.handlers[h], r);
                 });
  std::vector<crossover_curve> curves;
  for (std::size_t k = 0; k < q.cores.size(); ++k) {
    auto advantage = closed::pooling_advantage(q.cores[k], q.limit);
    crossover_curve curve{
        .cores = q.cores[k],
        .advantage = advantage,
        .formula = closed::break_even(q.stealing_cost, q.sharded_cost, advantage)};
    conclude(q, seen[k], curve);
    curves.push_back(std::move(curve));
  }
  return curves;
}

}  // namespace duel::sim
