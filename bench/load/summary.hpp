// summary.hpp - what a run says: made once from what the workers counted, then printed as
// text and as JSON. The meaning of each field and the rule of each taint: DESIGN.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/load/cpu_use.hpp"
#include "bench/load/options.hpp"
#include "bench/load/tally.hpp"

namespace duel::load {

// Are the answers compared with what was expected, and does that tell requests apart?
struct checks {
  bool bodies = true, ids = true;
};

struct summary {
  const options& o;
  window when;
  tally counts;
  std::vector<cpu_use> threads;
  checks checked;
  bool is_stopped = false;

  histogram intended, sent;  // of the whole window
  std::uint64_t ok = 0, errors = 0;
  double seconds = 0;
  double achieved = 0, offered = 0;  // a second; offered: open loop only
  std::optional<double> littles_law;
  std::size_t established = 0, served = 0;
  std::vector<connection_record> zero_served, fallen_silent;
  std::uint64_t least = 0, median = 0, most = 0;  // requests of an established connection
  std::optional<double> jain;
  std::vector<std::string_view> taints;

  [[nodiscard]] std::optional<double> rate_of_half(std::size_t half) const {
    double length = when.seconds_of_half(half);
    if (length == 0) return std::nullopt;
    return static_cast<double>(counts.answered[half]) / length;
  }
};

summary summarise(const options& o, const window& when, tally counts,
                  const std::vector<connection_record>& records,
                  std::vector<cpu_use> threads, checks checked, bool is_stopped);

std::string as_text(const summary& s);
std::string as_json(const summary& s);

}  // namespace duel::load
