#include "bench/sim/prediction.hpp"

#include <fmt/format.h>

#include "bench/sim/closed_forms.hpp"

namespace duel::sim {

namespace {

using shape = service_time::shape;

// A formula for `k` cores that share a queue; `prefix` says how many such groups there
// are.
prediction first_come(const setup& s, unsigned k, const std::string& prefix) {
  double mean = s.mean_demand(), rho = s.load(), c2 = s.demand_squared_cv();
  auto with_quantiles = [&](std::string name, const auto& form) {
    prediction p{.name = prefix + std::move(name), .mean = form.mean()};
    auto& values = p.quantiles.emplace();
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = form.quantile(quantile_levels[i]);
    }
    return p;
  };
  if (s.service.kind() == shape::exponential && s.cost.request == 0) {
    return with_quantiles(fmt::format("M/M/{}", k), closed::mmk{k, rho, mean});
  }
  // Closer to saturation the distribution takes long to compute.
  if (s.service.kind() == shape::deterministic && (rho <= 0.99 || k == 1)) {
    return with_quantiles(fmt::format("M/D/{}", k), closed::mdk(k, rho, mean));
  }
  if (k == 1) return {.name = prefix + "M/G/1", .mean = closed::mg1_mean(rho, c2, mean)};
  return {.name = fmt::format("{}M/G/{} (Lee-Longton)", prefix, k),
          .is_exact = false,
          .mean = closed::mgk_mean(k, rho, c2, mean)};
}

std::optional<prediction> predict_closed_loop(const setup& s) {
  if (s.policy != policy_kind::central || s.service.kind() != shape::exponential ||
      s.cost.request > 0) {
    return {};
  }
  auto loop = closed::mmk_closed_loop(s.cores, s.connections, s.think, s.service.mean());
  return prediction{.name = fmt::format("M/M/{}//{}", s.cores, s.connections),
                    .mean = loop.mean};
}

}  // namespace

std::optional<prediction> predict(const setup& s) {
  if (!s.cost.is_zero_beside_request()) return {};
  if (s.is_closed()) return predict_closed_loop(s);
  bool is_alone = s.connections == 0;
  if (!s.arrivals.is_poisson() || s.load() >= 1) return {};
  if (!is_alone && s.is_ordered) return {};
  double rho = s.load(), mean = s.mean_demand();
  switch (s.policy) {
    case policy_kind::central:
      return first_come(s, s.cores, "");
    case policy_kind::partitioned:
      if (!is_alone) return {};
      return first_come(s, 1, s.cores > 1 ? fmt::format("{} x ", s.cores) : "");
    case policy_kind::sharing:
      return prediction{.name = fmt::format("M/G/{}-PS", s.cores),
                        .mean = closed::mgk_sharing_mean(s.cores, rho, mean)};
    case policy_kind::shard_sharing:
      if (!is_alone) return {};
      return prediction{.name = fmt::format("{} x M/G/1-PS", s.cores),
                        .mean = closed::mgk_sharing_mean(1, rho, mean)};
    case policy_kind::stealing:
    case policy_kind::stealing_one: {
      // Free stealing never leaves a core idle beside a waiting job; the order differs,
      // and with it the tail, but the mean of M/M/k does not.
      bool is_exponential = s.service.kind() == shape::exponential && s.cost.request == 0;
      bool hides = s.place == placement::poller || s.place == placement::reactor;
      if (hides || !is_exponential) return {};
      auto p = first_come(s, s.cores, "");
      p.quantiles.reset();
      return p;
    }
    default:
      return {};
  }
}

}  // namespace duel::sim
