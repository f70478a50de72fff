#include "bench/load/arrivals.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "bench/load/random.hpp"

namespace duel::load {

std::vector<double> shares(std::size_t connections, double zipf) {
  std::vector<double> parts(connections);
  for (std::size_t c = 0; c < connections; ++c) {
    parts[c] = std::pow(static_cast<double>(c + 1), -zipf);
  }
  double all = std::accumulate(parts.begin(), parts.end(), 0.0);
  for (double& part : parts) part /= all;
  return parts;
}

arrival_stream::arrival_stream(const arrival_plan& plan, std::uint64_t connection,
                               double share)
    : kind_(plan.kind),
      seed_(plan.seed),
      connection_(connection),
      gap_ns_(1e9 / (plan.rate * share)) {
  if (kind_ == arrival_kind::onoff) {
    burst_ns_ = plan.burst_s * 1e9, pause_ns_ = plan.gap_s * 1e9;
    gap_ns_ *= plan.burst_s / (plan.burst_s + plan.gap_s);
  }
  if (kind_ != arrival_kind::uniform) {
    advance();
    return;
  }
  // With equal shares the streams interleave evenly; else each starts somewhere in its
  // gap.
  busy_ns_ = plan.zipf == 0 ? static_cast<double>(connection) * 1e9 / plan.rate
                            : gap_ns_ * draw_unit(seed_, purpose::phase, connection, 0);
  at_ = stretched(busy_ns_);
}

void arrival_stream::advance() {
  busy_ns_ +=
      kind_ == arrival_kind::uniform
          ? gap_ns_
          : gap_ns_ * draw_exponential(seed_, purpose::gap, connection_, index_++);
  at_ = stretched(busy_ns_);
}

// Puts the pauses back in. What is beyond every run stays where it can be added to a
// time.
std::int64_t arrival_stream::stretched(double busy_ns) const {
  constexpr double latest = 0x1p62;
  double at = std::min(busy_ns, latest);
  if (kind_ == arrival_kind::onoff) at += std::floor(at / burst_ns_) * pause_ns_;
  return std::llround(std::min(at, latest));
}

}  // namespace duel::load
