#include "bench/sim/flags.hpp"

#include <fmt/format.h>

#include "bench/sim/fields.hpp"

namespace duel::sim {

namespace {

constexpr double most_time = 1e9;

// CLI::Range takes a NaN for a number within its limits.
CLI::Validator number(double least, double most) {
  auto what = fmt::format("from {} to {:g}", least, most);
  return {[=](const std::string& text) {
            auto value = read_number(text);
            bool is_fine = value && *value >= least && *value <= most;
            return is_fine ? "" : fmt::format("'{}' is no number {}", text, what);
          },
          what};
}

CLI::Validator time() {
  return number(0, most_time);
}

void declare_run(CLI::App& app, flags& f) {
  app.add_option("--jobs", f.jobs,
                 "measured requests a replication (default: 100000; crossover: 40000)")
      ->check(CLI::Range(std::uint64_t{100}, std::uint64_t{1'000'000'000}, "a number"));
  app.add_option("--warmup", f.warmup,
                 "requests before them (default: by load and cores)")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{1'000'000'000}, "a number"));
  app.add_option("--replications", f.replications,
                 "independent runs, for the intervals (default: 10; crossover: 5)")
      ->check(CLI::Range(2u, 10'000u));
  app.add_option("--seed", f.seed, "of all that is drawn (default: 1)");
  app.add_option("--threads", f.threads, "(default: one a CPU)")
      ->check(CLI::Range(1u, 1024u));
  app.add_option("--json", f.json, "also write everything to this file");
}

void declare_load(CLI::App& app, flags& f) {
  auto* load =
      app.add_option("--load", f.loads,
                     "share of the cores' time: 0.1..0.9:0.1,0.95 (default: 0.5 to 0.9)");
  app.add_option("--rate", f.rates, "instead: requests a second, times in microseconds")
      ->excludes(load);
  app.add_option("--arrivals", f.arrivals, "poisson, uniform, onoff or batch:N");
  app.add_option("--burst-ms", f.burst_ms,
                 "onoff: arrivals come for this long (default: 100; 1 ms is 1000 of the "
                 "times without a unit)")
      ->check(number(1e-6, 3.6e6));
  app.add_option("--gap-ms", f.gap_ms,
                 "onoff: and then for this long none (default: 400)")
      ->check(number(0, 3.6e6));
  app.add_option("--connections", f.connections,
                 "of the clients (default: 0: each request comes alone)");
  app.add_option("--zipf", f.zipf, "exponent of the connections' rates (default: 0)")
      ->check(number(0, 10));
  app.add_flag("--unordered", f.is_unordered,
               "requests of a connection at the same time, too");
  auto* closed = app.add_flag("--closed", f.is_closed,
                              "each connection waits for its answer, then thinks");
  app.add_option("--think", f.think, "its mean, exponential (default: 0)")
      ->check(time())
      ->needs(closed);
}

void declare_costs(CLI::App& app, flags& f) {
  app.add_option("--request-cost", f.request_costs,
                 "a request beyond its handler: a time, or POLICY=TIME,POLICY=TIME");
  app.add_option("--steal-cost", f.cost.steal, "a successful steal")->check(time());
  app.add_option("--wake-cost", f.cost.wake, "waking an idle core")->check(time());
  app.add_option("--probe-cost", f.cost.probe, "a look at a victim")->check(time());
  app.add_option(
         "--hop-cost", f.cost.hop,
         "handing a request to another core: each under jsq-request and reserved, "
         "each stolen one, the share --remote elsewhere")
      ->check(time());
  app.add_option("--remote", f.remote, "share of requests that need a hop (default: 0)")
      ->check(number(0, 1));
}

void declare_crossover(CLI::App& app, flags& f) {
  auto* crossover = app.add_subcommand(
      "crossover", "from which handler time on does stealing beat sharding?");
  crossover->fallthrough();
  crossover->add_option("--stealing-cost", f.stealing_cost, "a request, in microseconds")
      ->required()
      ->check(time());
  crossover->add_option("--sharded-cost", f.sharded_cost, "a request, in microseconds")
      ->required()
      ->check(time());
  crossover->add_option("--slo", f.limit, "p99 within so many mean service times")
      ->check(number(1, 1e6));
  crossover->add_option("--handlers", f.handlers, "mean handler times, in microseconds");
  app.add_subcommand("tables", "the closed forms' tables, and hashing luck")
      ->fallthrough();
}

bool has(const CLI::App& app, const std::string& flag) {
  return app.count(flag) > 0;
}

}  // namespace

void declare(CLI::App& app, flags& f) {
  app.add_option("--policy", f.policies,
                 "central, partitioned, jsq-accept, jsq-request, stealing, stealing-one, "
                 "ps, ps-shard, reserved: one or a list");
  app.add_option("--cores", f.cores,
                 "one or a list (default: 8; crossover: 2,4,8,16,64,256)");
  app.add_option("--service", f.service,
                 "handler times: det:50us, exp:50us, bimodal:SHORT,LONG,SHARE_OF_LONG, "
                 "lognormal:MEAN,SIGMA, pareto:MEAN,ALPHA; or without a unit (default: "
                 "exp:1; crossover: any mean)");
  declare_load(app, f);
  declare_costs(app, f);
  app.add_option(
      "--place", f.place,
      "where a request comes in under stealing: home (its connection's), random, "
      "shortest, reactor (home's, once it polls), poller (one worker polls for all; "
      "times in microseconds)");
  app.add_option("--reserved", f.reserved, "cores for short requests only (default: 1)");
  app.add_option("--short", f.short_limit,
                 "what is short (default: between the modes, or the mean)")
      ->check(number(1e-9, most_time));
  declare_run(app, f);
  declare_crossover(app, f);
  app.require_subcommand(0, 1);
}

void check_flags_apply(const CLI::App& app, const flags& f) {
  auto refuse = [&](const std::string& flag, bool is_refused, const char* why) {
    if (is_refused && has(app, flag)) throw unusable{fmt::format("{} {}", flag, why)};
  };
  bool is_crossover = app.got_subcommand("crossover");
  bool is_tables = app.got_subcommand("tables");
  for (const char* flag :
       {"--load", "--rate", "--closed", "--request-cost", "--warmup"}) {
    refuse(flag, is_crossover, "says nothing to crossover (leave it out)");
  }
  for (const auto* each : app.get_options()) {
    bool is_known = each->check_lname("json") || each->check_lname("help");
    if (is_tables && each->count() > 0 && !is_known) {
      throw unusable{
          fmt::format("{} says nothing to tables (leave it out)", each->get_name())};
    }
  }
  for (const char* flag : {"--load", "--rate", "--arrivals", "--zipf", "--unordered"}) {
    refuse(flag, f.is_closed, "is of the open loop (leave out --closed)");
  }
  bool has_stealing = is_crossover || f.policies.find("stealing") != std::string::npos;
  for (const char* flag : {"--place", "--steal-cost", "--probe-cost"}) {
    refuse(flag, !has_stealing, "is for stealing (add it to --policy)");
  }
  for (const char* flag : {"--reserved", "--short"}) {
    refuse(flag, f.policies.find("reserved") == std::string::npos,
           "is for the policy reserved (add it to --policy)");
  }
  for (const char* flag : {"--burst-ms", "--gap-ms"}) {
    refuse(flag, f.arrivals != "onoff", "needs --arrivals onoff");
  }
  for (const char* flag : {"--zipf", "--unordered"}) {
    refuse(flag, f.connections == "0", "needs --connections");
  }
  refuse("--remote", f.cost.hop == 0, "needs --hop-cost");
}

}  // namespace duel::sim
