#include "bench/load/summary.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace duel::load {

namespace {

constexpr double saturated_share = 0.8;
constexpr double far_from_one = 0.1, far_from_offered = 0.01;
constexpr double censored_share = 0.001;
constexpr double late_share = 0.1;  // of the latency at the same percentile
constexpr std::uint64_t late_ns = 100'000;
constexpr double drift_share = 0.1, drift_of_median = 1.5;
constexpr std::uint64_t enough = 100;      // answers in half a window, to tell its median
constexpr std::uint64_t enough_each = 10;  // a connection, to compare those that pause

// Chance alone moves a count by its root: three of these, as a part of the count.
double by_chance(std::uint64_t count) {
  return 3 / std::sqrt(static_cast<double>(count));
}

bool drifts(const summary& s) {
  const auto& first = s.counts.intended[0];
  const auto& second = s.counts.intended[1];
  auto before = s.rate_of_half(0), after = s.rate_of_half(1);
  if (!before || !after || s.ok < 2 * enough) return false;
  double half_s = std::min(s.when.seconds_of_half(0), s.when.seconds_of_half(1));
  double change = std::abs(*after - *before);
  bool is_chance = change < std::sqrt((*before + *after) / half_s) * 3;
  if (!is_chance && change > drift_share * *before) return true;
  if (std::min(first.count(), second.count()) < enough) return false;
  auto p = static_cast<double>(first.percentile(0.5)),
       q = static_cast<double>(second.percentile(0.5));
  return std::max(p, q) > drift_of_median * std::min(p, q);
}

// By its own fault, so much that the latencies say more about us than about the server.
bool slipped(const summary& s) {
  return std::ranges::any_of(std::array{0.5, 0.99}, [&](double p) {
    auto allowed = late_share * static_cast<double>(s.intended.percentile(p));
    auto late = s.counts.lateness.percentile(p);
    return late > late_ns && static_cast<double>(late) > allowed;
  });
}

void count_connections(summary& s, const std::vector<connection_record>& records) {
  ns quiet = s.when.end - (s.when.end - s.when.begin) / 4;
  bool is_open = s.o.is_open_loop(), pauses = s.o.think_ms > 0;
  std::vector<std::uint64_t> requests;
  std::vector<double> parts;  // of what was asked of it, where that differs
  for (const connection_record& c : records) {
    if (!c.established) continue;
    ++s.established;
    s.served += c.served > 0;
    requests.push_back(c.served);
    if (!is_open) parts.push_back(static_cast<double>(c.served));
    if (is_open && c.offered > 0) {
      parts.push_back(static_cast<double>(c.served) / static_cast<double>(c.offered));
    }
    bool waits = c.waiting_since != 0;
    bool waits_long = waits && c.waiting_since < quiet;
    if (c.served > 0 && waits_long) s.fallen_silent.push_back(c);
    bool always_asks = !is_open && !pauses;
    if (c.served == 0 && c.asked && (waits_long || c.lost || always_asks)) {
      s.zero_served.push_back(c);
    }
  }
  if (requests.empty()) return;
  std::ranges::sort(requests);
  s.least = requests.front(), s.most = requests.back();
  s.median = requests[requests.size() / 2];
  double sum = std::accumulate(parts.begin(), parts.end(), 0.0);
  double squares = std::inner_product(parts.begin(), parts.end(), parts.begin(), 0.0);
  if (pauses && s.ok < enough_each * s.established) return;
  if (squares > 0) s.jain = sum * sum / (squares * static_cast<double>(parts.size()));
}

// Throughput times the time a request takes, thinking included, is what is in flight.
std::optional<double> littles_law(const summary& s) {
  if (s.o.is_open_loop()) {
    return s.offered > 0 ? std::optional(s.achieved / s.offered) : std::nullopt;
  }
  if (s.ok == 0) return std::nullopt;
  auto places = static_cast<double>(s.established * s.o.pipeline);
  double took = s.intended.mean() / 1e9 + s.o.think_ms / 1e3;
  return s.achieved * took / places;
}

bool is_unbalanced(const summary& s) {
  if (!s.littles_law) return false;
  double allowed = s.o.is_open_loop() ? far_from_offered + by_chance(s.counts.offered)
                                      : far_from_one + by_chance(s.ok);
  return std::abs(*s.littles_law - 1) > allowed;
}

}  // namespace

summary summarise(const options& o, const window& when, tally counts,
                  const std::vector<connection_record>& records,
                  std::vector<cpu_use> threads, checks checked, bool is_stopped) {
  summary s{.o = o,
            .when = when,
            .counts = std::move(counts),
            .threads = std::move(threads),
            .checked = checked,
            .is_stopped = is_stopped};
  for (std::size_t half : {0, 1}) {
    s.intended.merge(s.counts.intended[half]);
    s.sent.merge(s.counts.sent[half]);
  }
  s.ok = s.counts.answered[0] + s.counts.answered[1];
  s.errors =
      std::accumulate(s.counts.faults.begin(), s.counts.faults.end(), std::uint64_t{0});
  s.seconds = static_cast<double>(when.end - when.begin) / 1e9;
  s.achieved = static_cast<double>(s.ok) / s.seconds;
  s.offered = static_cast<double>(s.counts.offered) / s.seconds;
  count_connections(s, records);
  s.littles_law = littles_law(s);

  auto taint = [&](bool holds, std::string_view word) {
    if (holds) s.taints.push_back(word);
  };
  taint(is_stopped, "stopped");
  taint(s.ok == 0, "no_samples");
  taint(s.errors > 0, "errors");
  taint(!checked.bodies, "bodies_unchecked");
  taint(o.unique_ids && !checked.ids, "ids_unchecked");
  taint(s.established < o.connections, "connections_missing");
  taint(!s.zero_served.empty(), "zero_served");
  taint(!s.fallen_silent.empty(), "fallen_silent");
  taint(s.counts.unfinished > 0, "unfinished");
  taint(static_cast<double>(s.counts.censored) >
            censored_share * static_cast<double>(s.counts.offered),
        "censored");
  taint(s.counts.exhausted > 0, "loader_exhausted");
  taint(std::ranges::any_of(
            s.threads,
            [](auto& t) { return t.share() + t.wait_share() > saturated_share; }),
        "loader_saturated");
  taint(slipped(s), "schedule_slipped");
  taint(is_unbalanced(s), o.is_open_loop() ? "offered_not_achieved" : "littles_law");
  taint(drifts(s), "drift");
  return s;
}

}  // namespace duel::load
