#include "bench/sim/report.hpp"

#include <fmt/format.h>

#include <cstring>

#include "bench/output_file.hpp"

namespace duel::sim {

namespace {

constexpr std::array quantile_names{"p50", "p90", "p99", "p999"};

// Four digits, and the half width of the interval.
std::string text_of(const estimate& e) {
  return fmt::format("{:.4g} ±{:.2g}", e.value, e.half_width);
}

// What `fmt` counts as a column is right for the two bytes of ± as well.
std::string row_name(const setup& s) {
  auto name = std::string(name_of(s.policy));
  if (steals(s.policy) && s.place != placement::home) {
    name += fmt::format(" ({})", name_of(s.place));
  }
  return name;
}

std::string load_of(const setup& s) {
  return s.is_closed() ? "closed" : fmt::format("{:.3g}", s.load());
}

// The formula's value, and whether the interval holds it, which an approximation need
// not.
std::string beside(const prediction& theory, double value, const estimate& e) {
  if (!theory.is_exact) return fmt::format("~{:.4g}", value);
  return fmt::format("{:.4g}{}", value, e.holds(value) ? "" : " *");
}

json json_of(const estimate& e) {
  return {{"value", e.value}, {"low", e.low()}, {"high", e.high()}};
}

json json_of(const prediction& theory, const point& p) {
  json out{{"name", theory.name}, {"exact", theory.is_exact}};
  auto add = [&](const char* name, double value, const estimate& e) {
    out[name] = {{"value", value}, {"inside", e.holds(value)}};
  };
  add("mean", theory.mean, p.mean);
  for (std::size_t i = 0; theory.quantiles && i < quantile_names.size(); ++i) {
    add(quantile_names[i], (*theory.quantiles)[i], p.quantiles[i]);
  }
  return out;
}

json parameters(const setup& s) {
  json out{{"policy", name_of(s.policy)},
           {"cores", s.cores},
           {"loop", s.is_closed() ? "closed" : "open"}};
  if (s.is_closed()) {
    out["think"] = s.think;
  } else {
    out["load"] = s.load();
    out["rate"] = s.rate;
    add_arrivals(out, s.arrivals);
  }
  out["service"] = {{"text", s.service.text()},
                    {"mean", s.service.mean()},
                    {"squared_cv", s.service.squared_cv()}};
  out["connections"] = s.connections;
  out["zipf"] = s.zipf;
  out["ordered"] = s.is_ordered;
  if (steals(s.policy)) out["place"] = name_of(s.place);
  if (s.policy == policy_kind::reserved) {
    out["reserved"] = s.reserved;
    out["short"] = s.short_limit;
  }
  out["costs"] = {{"request", s.cost.request}, {"steal", s.cost.steal},
                  {"wake", s.cost.wake},       {"probe", s.cost.probe},
                  {"hop", s.cost.hop},         {"remote", s.remote}};
  out["seed"] = s.seed;
  out["jobs"] = s.jobs;
  out["warmup"] = s.warmup;
  return out;
}

}  // namespace

void add_arrivals(json& out, const arrival_pattern& arrivals) {
  out["arrivals"] = arrivals.text();
  if (!arrivals.is_on_off()) return;
  out["burst_ms"] = arrivals.burst() / 1e3;
  out["gap_ms"] = arrivals.pause() / 1e3;
}

void print_sweep(const std::vector<point>& points, unsigned replications) {
  const auto& first = points.front().given;
  fmt::print("{} service of mean {:g}; {} replications of {} requests; seed {}\n",
             first.service.text(), first.service.mean(), replications, first.jobs,
             first.seed);
  fmt::print("response times and 95 % intervals; * a closed form outside of it\n\n");
  constexpr auto line =
      "{:<20}{:>6}{:>7}{:>8}{:>9}  {:<17}{:<17}{:<17}{:<17}{:>6}{:>8}{:>8}  "
      "{:<12}{:<12}{}\n";
  fmt::print(line, "policy", "cores", "conns", "load", "rate", "mean", "p50", "p99",
             "p99.9", "busy", "steals", "wakes", "theory mean", "p99", "by");
  for (const auto& p : points) {
    const auto& theory = p.theory;
    auto mean = theory ? beside(*theory, theory->mean, p.mean) : "";
    auto p99 = theory && theory->quantiles
                   ? beside(*theory, (*theory->quantiles)[2], p.quantiles[2])
                   : "";
    fmt::print(
        line, row_name(p.given), p.given.cores, p.given.connections, load_of(p.given),
        fmt::format("{:.4g}", p.achieved.value), text_of(p.mean), text_of(p.quantiles[0]),
        text_of(p.quantiles[2]), text_of(p.quantiles[3]),
        fmt::format("{:.3f}", p.utilisation.value), fmt::format("{:.3f}", p.steals.value),
        fmt::format("{:.3f}", p.wakes.value), mean, p99, theory ? theory->name : "");
    for (const auto& taint : p.taints) fmt::print("  ! {}\n", taint);
  }
}

json sweep_json(const std::vector<point>& points, unsigned replications) {
  json rows = json::array();
  for (const auto& p : points) {
    json results{{"mean", json_of(p.mean)}};
    for (std::size_t i = 0; i < quantile_names.size(); ++i) {
      results[quantile_names[i]] = json_of(p.quantiles[i]);
    }
    results["achieved_rate"] = json_of(p.achieved);
    results["utilisation"] = json_of(p.utilisation);
    results["overhead_a_request"] = json_of(p.overhead);
    results["busiest_over_mean"] = json_of(p.imbalance);
    results["steals_a_request"] = json_of(p.steals);
    results["probes_a_request"] = json_of(p.probes);
    results["wakes_a_request"] = json_of(p.wakes);
    results["little"] = p.little;
    json row{{"given", parameters(p.given)},
             {"results", std::move(results)},
             {"closed_form", nullptr},
             {"taints", p.taints}};
    if (p.theory) row["closed_form"] = json_of(*p.theory, p);
    rows.push_back(std::move(row));
  }
  return {{"program", "duel-sim"},
          {"kind", "sweep"},
          {"schema_version", schema_version},
          {"replications", replications},
          {"confidence", 0.95},
          {"rows", std::move(rows)}};
}

std::string write_json(const std::string& path, const json& value) {
  output_file file(path);
  if (file.error() == 0) file.write(value.dump(1) + '\n');
  if (file.error() == 0) return {};
  return fmt::format("{} cannot be written: {} (check the path and free space)", path,
                     std::strerror(file.error()));
}

}  // namespace duel::sim
