// report_theory.cpp - the crossover, and the closed forms' tables.
#include <fmt/format.h>

#include <array>
#include <cmath>

#include "bench/sim/closed_forms.hpp"
#include "bench/sim/report.hpp"

namespace duel::sim {

namespace {

using end = crossover_verdict::end;

constexpr std::array<unsigned, 5> table_cores{1, 2, 4, 8, 16};
constexpr std::array table_loads{0.5, 0.7, 0.8, 0.9, 0.95};
constexpr std::array table_limits{6.0, 10.0, 20.0, 50.0};
constexpr std::array<unsigned, 6> table_connections{16, 32, 64, 256, 1000, 4096};
constexpr std::array<unsigned, 3> table_shards{4, 8, 16};
constexpr unsigned hash_trials = 5000;

std::string formula_text(double h) {
  if (std::isinf(h)) return "never";
  return h <= 0 ? "always" : fmt::format("{:.3g}", h);
}

std::string simulated_text(const crossover_question& q, const crossover_curve& c) {
  const auto& h = c.simulated;
  if (h.outcome == end::found) {
    return fmt::format("{:.3g} ({:.3g}..{:.3g})", h.value, h.low, h.high);
  }
  for (const auto& p : c.points) {
    if (!p.ratio) return "a limit that nobody meets at some handler time";
  }
  return h.outcome == end::below ? fmt::format("below {:.3g}", h.high)
                                 : fmt::format("not found up to {:g}", q.handlers.back());
}

const char* winner(const crossover_point& p) {
  if (!p.ratio) return "neither";
  if (p.ratio->holds(1)) return "~";
  return p.ratio->value > 1 ? "stealing" : "sharded";
}

}  // namespace

void print_crossover(const crossover_question& q,
                     const std::vector<crossover_curve>& curves) {
  fmt::print(
      "a request costs stealing {:g} and sharded {:g} us beside its handler ({}); p99 "
      "within "
      "{:g} mean service times\n",
      q.stealing_cost, q.sharded_cost, q.base.service.text(), q.limit);
  fmt::print(
      "formula: all of it exponential, stealing as M/M/k, sharded as k x M/M/1\n\n");
  for (const auto& c : curves) {
    fmt::print("{} cores: H* {} us by simulation, {} by formula (pooling {:.3g})\n",
               c.cores, simulated_text(q, c), formula_text(c.formula), c.advantage);
    fmt::print("  {:>9}{:>12}{:>12}{:>22}{:>9}  {}\n", "handler us", "stealing",
               "sharded", "stealing/sharded", "formula", "more");
    for (const auto& p : c.points) {
      auto ratio =
          p.ratio ? fmt::format("{:.3f} ±{:.3f}", p.ratio->value, p.ratio->half_width)
                  : "-";
      fmt::print("  {:>9g}{:>12.3f}{:>12.3f}{:>22}{:>9.3f}  {}\n", p.handler,
                 p.stealing.value, p.sharded.value, ratio, p.formula, winner(p));
    }
  }
}

json crossover_json(const crossover_question& q,
                    const std::vector<crossover_curve>& curves) {
  auto interval = [](const estimate& e) {
    return json{{"value", e.value}, {"low", e.low()}, {"high", e.high()}};
  };
  json out{{"program", "duel-sim"},
           {"kind", "crossover"},
           {"schema_version", schema_version},
           {"replications", q.replications},
           {"confidence", 0.95},
           {"stealing_cost", q.stealing_cost},
           {"sharded_cost", q.sharded_cost},
           {"limit", q.limit},
           {"service", q.base.service.text()},
           {"connections", q.base.connections},
           {"zipf", q.base.zipf},
           {"ordered", q.base.is_ordered},
           {"accept", name_of(q.base.policy)},
           {"place", name_of(q.base.place)},
           {"costs",
            {{"steal", q.base.cost.steal},
             {"wake", q.base.cost.wake},
             {"probe", q.base.cost.probe},
             {"hop", q.base.cost.hop},
             {"remote", q.base.remote}}},
           {"seed", q.base.seed},
           {"jobs", q.base.jobs},
           {"curves", json::array()}};
  add_arrivals(out, q.base.arrivals);
  for (const auto& c : curves) {
    json curve{{"cores", c.cores},
               {"advantage", c.advantage},
               {"formula", nullptr},  // always and never have no number
               {"formula_says", formula_text(c.formula)},
               {"simulated", nullptr},
               {"simulation_says", simulated_text(q, c)},
               {"points", json::array()}};
    if (c.formula > 0 && !std::isinf(c.formula)) curve["formula"] = c.formula;
    if (const auto& h = c.simulated; h.outcome == end::found) {
      curve["simulated"] = {{"value", h.value}, {"low", h.low}, {"high", h.high}};
    }
    for (const auto& p : c.points) {
      json at{{"handler", p.handler},
              {"stealing_load", interval(p.stealing)},
              {"sharded_load", interval(p.sharded)},
              {"ratio", nullptr},
              {"formula_ratio", p.formula},
              {"more", winner(p)}};
      if (p.ratio) at["ratio"] = interval(*p.ratio);
      curve["points"].push_back(std::move(at));
    }
    out["curves"].push_back(std::move(curve));
  }
  return out;
}

void print_tables() {
  auto head = [](const char* title, const char* corner) {
    fmt::print("{}\n  {:<12}", title, corner);
    for (unsigned k : table_cores) fmt::print("{:>9}", fmt::format("k={}", k));
    fmt::print("\n");
  };
  head("p99 of M/M/k, in mean service times", "load");
  for (double rho : table_loads) {
    fmt::print("  {:<12}", rho);
    for (unsigned k : table_cores) {
      fmt::print("{:>9.1f}", closed::mmk{k, rho}.quantile(0.99));
    }
    fmt::print("\n");
  }
  head("\nhighest load with p99 within a limit, in mean service times", "limit");
  for (double limit : table_limits) {
    fmt::print("  {:<12}", limit);
    for (unsigned k : table_cores) fmt::print("{:>9.3f}", closed::usable_load(k, limit));
    fmt::print("\n");
  }
  fmt::print(
      "\nconnections hashed to shards: most over mean, median (95th percentile), empty "
      "shards\n  {:<12}",
      "connections");
  for (unsigned k : table_shards) fmt::print("{:>22}", fmt::format("{} shards", k));
  fmt::print("\n");
  for (unsigned n : table_connections) {
    fmt::print("  {:<12}", n);
    for (unsigned k : table_shards) {
      auto luck = closed::hash_imbalance(n, k, hash_trials);
      fmt::print("{:>22}", fmt::format("{:.2f} ({:.2f}), {:.1f}", luck.median, luck.p95,
                                       luck.idle_shards));
    }
    fmt::print("\n");
  }
}

json tables_json() {
  json out{{"program", "duel-sim"},
           {"kind", "tables"},
           {"schema_version", schema_version},
           {"mmk", json::array()},
           {"usable_load", json::array()},
           {"hashing", json::array()}};
  for (unsigned k : table_cores) {
    for (double rho : table_loads) {
      closed::mmk form{k, rho};
      out["mmk"].push_back({{"cores", k},
                            {"load", rho},
                            {"mean", form.mean()},
                            {"p99", form.quantile(0.99)}});
    }
    for (double limit : table_limits) {
      out["usable_load"].push_back({{"cores", k},
                                    {"limit", limit},
                                    {"load", closed::usable_load(k, limit)},
                                    {"advantage", closed::pooling_advantage(k, limit)}});
    }
  }
  for (unsigned n : table_connections) {
    for (unsigned k : table_shards) {
      auto luck = closed::hash_imbalance(n, k, hash_trials);
      out["hashing"].push_back({{"connections", n},
                                {"shards", k},
                                {"median", luck.median},
                                {"p95", luck.p95},
                                {"idle_shards", luck.idle_shards}});
    }
  }
  return out;
}

}  // namespace duel::sim
