// setup.hpp - what is simulated: one point of a sweep.
#pragma once

#include <optional>
#include <string_view>

#include "bench/sim/arrivals.hpp"
#include "bench/sim/service.hpp"

namespace duel::sim {

enum class policy_kind {
  central,        // one queue
  partitioned,    // a queue a core; connections hashed at accept
  jsq_accept,     // the same; accept takes the core with the fewest connections
  jsq_request,    // a queue a core; each request joins the shortest
  stealing,       // a queue a core; idle ones take half of another
  stealing_one,   // the same; one job at a time
  sharing,        // all jobs share all cores evenly: threads
  shard_sharing,  // the jobs of a core share it
  reserved        // some cores are for short requests only
};

std::string_view name_of(policy_kind policy);
std::optional<policy_kind> policy_named(std::string_view name);

constexpr bool steals(policy_kind policy) {
  return policy == policy_kind::stealing || policy == policy_kind::stealing_one;
}

// Where a request comes in under stealing.
enum class placement {
  home,      // at its connection's core, where others see it at once
  random,    // anywhere
  shortest,  // at the core with the fewest jobs
  reactor,   // at its connection's core, once that polls (--reactor=per-worker)
  poller     // at the one worker that polls (--reactor=shared)
};

std::string_view name_of(placement where);
std::optional<placement> placement_named(std::string_view name);

// CPU time, in the unit of service times.
struct costs {
  double request = 0;  // on top of the handler, each request
  double steal = 0;    // each successful steal
  double wake = 0;     // a core that was idle, before its first job or search
  double probe = 0;    // each look at a victim
  double hop = 0;      // each hand-over to another core

  [[nodiscard]] bool is_zero_beside_request() const noexcept {
    return steal == 0 && wake == 0 && probe == 0 && hop == 0;
  }
};

struct setup {
  policy_kind policy = policy_kind::central;
  unsigned cores = 8;
  service_time service;  // of the handler
  costs cost;
  arrival_pattern arrivals;
  double rate = 0;           // requests a time unit, open loop; 0: closed loop
  unsigned connections = 0;  // 0: each request comes alone
  double zipf = 0;           // exponent of the rates of connections
  bool is_ordered = true;    // a connection's requests one at a time
  double think = 0;          // closed loop: mean, exponential
  placement place = placement::home;
  double remote = 0;       // share of requests that need a hop where jobs stay at home
  unsigned reserved = 1;   // cores for short requests only
  double short_limit = 0;  // requests up to this are short
  std::uint64_t seed = 1;
  std::uint64_t jobs = 100'000, warmup = 20'000;  // measured, and before

  [[nodiscard]] bool is_closed() const noexcept { return rate == 0; }
  [[nodiscard]] double mean_demand() const noexcept {
    return service.mean() + cost.request;
  }
  // c2 of handler and request cost together.
  [[nodiscard]] double demand_squared_cv() const noexcept {
    double share = service.mean() / mean_demand();
    return service.squared_cv() * share * share;
  }
  [[nodiscard]] double load() const noexcept { return rate * mean_demand() / cores; }
};

}  // namespace duel::sim
