// summary.hpp - what a run says: made once from what the workers counted, then printed as
// text and as JSON. The meaning of each field and the rule of each taint: DESIGN.md.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bench/load/options.hpp"
#include "bench/load/tally.hpp"

namespace duel::load {

struct thread_use {
  double cpu_seconds = 0, share = 0;
};

struct summary {
  const options& o;
  window when;
  tally counts;
  std::vector<thread_use> threads;
  bool checks_bodies = true, is_stopped = false;

  histogram intended, sent;  // of the whole window
  std::uint64_t ok = 0, errors = 0;
  double seconds = 0;
  double achieved = 0, offered = 0;  // a second; offered: open loop only
  double littles_law = 0;
  std::size_t established = 0, served = 0;
  std::vector<connection_record> zero_served, fallen_silent;
  std::uint64_t least = 0, median = 0, most = 0;  // requests of an established connection
  double jain = 0;
  std::vector<std::string_view> taints;

  [[nodiscard]] double rate_of_half(std::size_t half) const {
    auto length =
        half ? when.end - when.middle : std::min(when.middle, when.end) - when.begin;
    return length > 0 ? static_cast<double>(counts.intended[half].count()) * 1e9 /
                            static_cast<double>(length)
                      : 0;
  }
};

summary summarise(const options& o, const window& when, tally counts,
                  const std::vector<connection_record>& records,
                  std::vector<thread_use> threads, bool checks_bodies, bool is_stopped);

std::string as_text(const summary& s);
std::string as_json(const summary& s);

}  // namespace duel::load
