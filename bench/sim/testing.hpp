// testing.hpp - what the simulator's tests share.
#pragma once

#include "bench/sim/sweep.hpp"

namespace duel::sim::testing {

inline service_time service(const std::string& text) {
  return service_time::parse(text).value();
}

// Poisson arrivals and exponential service of mean 1, requests that come alone.
inline setup open_loop(policy_kind policy, unsigned cores, double load,
                       const std::string& text = "exp:1") {
  setup s{.policy = policy, .cores = cores, .service = service(text)};
  s.rate = load * cores / s.mean_demand();
  s.short_limit = s.service.short_limit();
  s.jobs = 20'000;
  s.warmup = default_warmup(s);
  return s;
}

inline point simulate(const setup& s, unsigned replications = 10) {
  return run_sweep({s}, replications, 2, false)[0];
}

}  // namespace duel::sim::testing
