#include "bench/sim/options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <thread>

#include "bench/sim/fields.hpp"
#include "bench/sim/flags.hpp"
#include "bench/sim/sweep.hpp"

namespace duel::sim {

namespace {

constexpr const char* about =
    "Simulates how cores share requests, for any number of cores, beside the closed "
    "forms of queueing theory.";

constexpr const char* more =
    "examples:\n"
    "  duel-sim --load 0.1..0.9:0.1 --service bimodal:0.5,5.5,0.1\n"
    "  duel-sim --policy stealing,jsq-accept --connections 64 --cores 8,64,256 "
    "--wake-cost 0.1\n"
    "  duel-sim crossover --stealing-cost 9.5 --sharded-cost 5.15 --slo 10\n"
    "  duel-sim tables\n"
    "exit status: 0 done, 1 failed, 2 wrong usage";

constexpr unsigned most_cores = 256, most_connections = 1'000'000;
constexpr double most_load = 10;

std::vector<double> numbers(const char* flag, const std::string& text, double least,
                            double most) {
  auto values = read_numbers(text);
  if (!values) {
    throw unusable{
        fmt::format("{}: '{}' is no list of numbers (as 0.1..0.9:0.1,0.95)", flag, text)};
  }
  for (double each : *values) {
    if (each < least || each > most) {
      throw unusable{
          fmt::format("{}: {} is not between {:g} and {:g}", flag, each, least, most)};
    }
  }
  return *values;
}

std::vector<unsigned> counts(const char* flag, const std::string& text, unsigned least,
                             unsigned most) {
  std::vector<unsigned> whole;
  for (double each : numbers(flag, text, least, most)) {
    if (each != std::floor(each)) {
      throw unusable{fmt::format("{}: {} is no whole number", flag, each)};
    }
    whole.push_back(static_cast<unsigned>(each));
  }
  return whole;
}

std::vector<policy_kind> policies(const std::string& text) {
  std::vector<policy_kind> chosen;
  for (const auto& name : split(text, ',')) {
    auto policy = policy_named(name);
    if (!policy) throw unusable{fmt::format("--policy: no '{}' (see --help)", name)};
    chosen.push_back(*policy);
  }
  return chosen;
}

// Of each policy; a single time is everybody's.
std::map<policy_kind, double> request_costs(const std::string& text,
                                            const std::vector<policy_kind>& chosen) {
  std::map<policy_kind, double> costs;
  auto wrong = [&] {
    return unusable{fmt::format(
        "--request-cost: '{}' is no time and no POLICY=TIME,... of chosen policies",
        text)};
  };
  if (auto all = read_number(text)) {
    if (*all < 0) throw wrong();
    for (auto each : chosen) costs[each] = *all;
    return costs;
  }
  for (const auto& part : split(text, ',')) {
    auto pair = split(part, '=');
    auto policy = policy_named(pair[0]);
    auto time = read_number(pair.back());
    bool is_chosen = policy && std::ranges::find(chosen, *policy) != chosen.end();
    if (pair.size() != 2 || !is_chosen || !time || *time < 0) throw wrong();
    costs[*policy] = *time;
  }
  return costs;
}

template <typename Thing>
Thing use(const char* flag, std::expected<Thing, std::string> parsed) {
  if (!parsed) throw unusable{fmt::format("{}: {}", flag, parsed.error())};
  return *parsed;
}

// What all rows have in common.
setup common(const flags& f) {
  auto place = placement_named(f.place);
  if (!place) throw unusable{fmt::format("--place: no '{}' (see --help)", f.place)};
  setup s{.service = use("--service", service_time::parse(f.service)),
          .cost = f.cost,
          .arrivals =
              use("--arrivals",
                  arrival_pattern::parse(f.arrivals, f.burst_ms * 1e3, f.gap_ms * 1e3)),
          .zipf = f.zipf,
          .is_ordered = !f.is_unordered,
          .think = f.think,
          .place = *place,
          .remote = f.remote,
          .reserved = f.reserved,
          .short_limit = f.short_limit,
          .seed = f.seed,
          .jobs = f.jobs};
  if (s.short_limit == 0) s.short_limit = s.service.short_limit();
  return s;
}

void check_accept(const setup& s) {
  if (s.policy == policy_kind::jsq_accept && s.connections == 0) {
    throw unusable{"jsq-accept needs --connections (without, use jsq-request)"};
  }
}

void check(const setup& s) {
  check_accept(s);
  if (s.policy == policy_kind::reserved && s.reserved >= s.cores) {
    throw unusable{fmt::format("--reserved: {} of {} cores leave none for long requests",
                               s.reserved, s.cores)};
  }
  if (s.is_closed() && s.connections == 0) {
    throw unusable{"--closed needs --connections"};
  }
}

// Rates: of each setup's own capacity (--load), or the same for all.
std::vector<setup> with_rates(const setup& s, const flags& f) {
  if (f.is_closed) return {s};
  std::vector<setup> rows;
  bool is_absolute = !f.rates.empty();
  auto values = is_absolute ? numbers("--rate", f.rates, 1e-3, 1e12)
                            : numbers("--load", f.loads, 1e-3, most_load);
  for (double each : values) {
    rows.push_back(s);
    rows.back().rate = is_absolute ? each / 1e6 : each * s.cores / s.mean_demand();
    if (rows.back().load() > most_load) {
      throw unusable{fmt::format("--rate: {} is more than {} times what the cores can do",
                                 each, most_load)};
    }
  }
  return rows;
}

std::vector<setup> make_setups(const flags& f) {
  auto chosen = policies(f.policies);
  auto cost = request_costs(f.request_costs, chosen);
  auto connections = counts("--connections", f.connections, 0, most_connections);
  std::vector<setup> rows;
  for (unsigned cores : counts("--cores", f.cores, 1, most_cores)) {
    for (unsigned each : connections) {
      for (auto policy : chosen) {
        auto s = common(f);
        s.policy = policy;
        s.cores = cores;
        s.connections = each;
        s.cost.request = cost[policy];
        for (auto& row : with_rates(s, f)) {
          row.warmup = f.warmup.value_or(default_warmup(row));
          check(row);
          rows.push_back(std::move(row));
        }
      }
    }
  }
  return rows;
}

crossover_question make_question(const CLI::App& app, const flags& f, unsigned threads) {
  bool has_cores = app.count("--cores") > 0, has_policy = app.count("--policy") > 0;
  crossover_question q{
      .base = common(f),
      .cores = counts("--cores", has_cores ? f.cores : "2,4,8,16,64,256", 1, most_cores),
      .handlers = numbers("--handlers", f.handlers, 1e-3, 1e9),
      .stealing_cost = f.stealing_cost,
      .sharded_cost = f.sharded_cost,
      .limit = f.limit,
      .replications = app.count("--replications") > 0 ? f.replications : 5,
      .threads = threads};
  std::ranges::sort(q.handlers);
  auto connections = counts("--connections", f.connections, 0, most_connections);
  if (connections.size() != 1) throw unusable{"crossover takes one --connections"};
  q.base.connections = connections[0];
  q.base.policy = policy_kind::partitioned;
  if (has_policy) {
    auto chosen = policies(f.policies);
    bool is_sharded = chosen.size() == 1 && (chosen[0] == policy_kind::partitioned ||
                                             chosen[0] == policy_kind::jsq_accept);
    if (!is_sharded) {
      throw unusable{
          "--policy of crossover is how shards get connections: partitioned or "
          "jsq-accept"};
    }
    q.base.policy = chosen[0];
    check_accept(q.base);
  }
  if (app.count("--jobs") == 0) q.base.jobs = 40'000;
  return q;
}

}  // namespace

void complain(const std::string& message) {
  fmt::print(stderr, "duel-sim: {}\n", message);
}

std::expected<options, int> parse_command_line(int argc, char** argv) {
  flags f;
  CLI::App app(about, "duel-sim");
  app.footer(more);
  declare(app, f);
  options o;
  try {
    app.parse(argc, argv);
    check_flags_apply(app, f);
    o.json = f.json;
    o.replications = f.replications;
    o.threads =
        f.threads > 0 ? f.threads : std::max(1u, std::thread::hardware_concurrency());
    if (app.got_subcommand("tables")) {
      o.what = options::task::tables;
    } else if (app.got_subcommand("crossover")) {
      o.what = options::task::crossover;
      o.question = make_question(app, f, o.threads);
    } else {
      o.setups = make_setups(f);
    }
  } catch (const CLI::Success& help) {
    return std::unexpected(app.exit(help));
  } catch (const CLI::ParseError& e) {
    complain(fmt::format("{} (see --help)", e.what()));
    return std::unexpected(exit_usage);
  } catch (const unusable& e) {
    complain(e.why);
    return std::unexpected(exit_usage);
  }
  return o;
}

}  // namespace duel::sim
