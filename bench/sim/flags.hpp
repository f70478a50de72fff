// flags.hpp - the flags as given, before they mean anything together (options.cpp).
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "bench/sim/setup.hpp"

namespace duel::sim {

// A sentence about wrong usage.
struct unusable {
  std::string why;
};

struct flags {
  std::string policies = "central,partitioned,stealing";
  std::string cores = "8";
  std::string loads = "0.5,0.7,0.8,0.9", rates;
  std::string service = "exp:1", arrivals = "poisson", place = "home";
  double burst_ms = 100, gap_ms = 400;
  std::string connections = "0";
  double zipf = 0, think = 0;
  bool is_unordered = false, is_closed = false;
  std::string request_costs = "0";
  costs cost;
  double remote = 0;
  unsigned reserved = 1;
  double short_limit = 0;
  std::uint64_t seed = 1, jobs = 100'000;
  std::optional<std::uint64_t> warmup;
  unsigned replications = 10, threads = 0;
  std::string json;
  // crossover
  double stealing_cost = 0, sharded_cost = 0, limit = 10;
  std::string handlers = "0.5,1,2,5,10,20,50,100,200";
};

// The program's flags, to be filled in by its parse. `app` must not outlive `f`.
void declare(CLI::App& app, flags& f);

// Throws unusable for a flag that says nothing about what was asked for.
void check_flags_apply(const CLI::App& app, const flags& f);

}  // namespace duel::sim
