// json_report.cpp - a summary as JSON. A field that could not be measured is null, so
// that no reader takes it for zero.
#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "bench/load/summary.hpp"

namespace duel::load {

namespace {

using json = nlohmann::ordered_json;

json latency_of(const histogram& h, bool with_buckets) {
  json made;
  made["count"] = h.count();
  auto add = [&](const char* name, json value) {
    made[name] = h.count() > 0 ? std::move(value) : json(nullptr);
  };
  add("mean", h.mean());
  add("deviation", h.deviation());
  add("max", h.max());
  add("p50", h.percentile(0.5));
  add("p75", h.percentile(0.75));
  add("p90", h.percentile(0.9));
  add("p99", h.percentile(0.99));
  add("p99_9", h.percentile(0.999));
  if (!with_buckets) return made;
  json counts = json::array();
  for (std::size_t i = 0; i < histogram::buckets; ++i) {
    if (h.count_in(i)) counts.push_back({histogram::lowest(i), h.count_in(i)});
  }
  made["histogram"] = {{"sub_bits", histogram::sub_bits}, {"counts", std::move(counts)}};
  return made;
}

json names(const std::vector<connection_record>& which) {
  constexpr std::size_t most = 16;
  json made = json::array();
  for (std::size_t i = 0; i < std::min(most, which.size()); ++i) {
    made.push_back({{"number", which[i].number}, {"port", which[i].port}});
  }
  return made;
}

json number_or_null(const std::optional<double>& value) {
  return value ? json(*value) : json(nullptr);
}

json half_of(const summary& s, std::size_t half) {
  return {{"rate", number_or_null(s.rate_of_half(half))},
          {"intended", latency_of(s.counts.intended[half], false)},
          {"sent", latency_of(s.counts.sent[half], false)}};
}

json load_of(const options& o) {
  constexpr std::array kinds = {"poisson", "uniform", "onoff"};
  json made = {{"url", o.url},
               {"loop", o.is_open_loop() ? "open" : "closed"},
               {"threads", o.threads},
               {"cpus", o.cpus},
               {"connections", o.connections},
               {"pipeline", o.pipeline},
               {"think_ms", o.think_ms},
               {"unique_ids", o.unique_ids},
               {"service", o.service ? json(o.service->text()) : json(nullptr)}};
  if (!o.is_open_loop()) return made;
  made["arrivals"] = kinds[static_cast<std::size_t>(o.arrivals.kind)];
  made["rate"] = o.arrivals.rate;
  made["zipf"] = o.arrivals.zipf;
  if (o.arrivals.kind == arrival_kind::onoff) {
    made["burst_ms"] = o.arrivals.burst_s * 1e3;
    made["gap_ms"] = o.arrivals.gap_s * 1e3;
  }
  return made;
}

}  // namespace

std::string as_json(const summary& s) {
  bool is_open = s.o.is_open_loop();
  json errors;
  for (std::size_t i = 0; i < fault_names.size(); ++i) {
    errors[std::string(fault_names[i])] = s.counts.faults[i];
  }
  json threads = json::array();
  for (auto& t : s.threads) {
    threads.push_back({{"cpu_seconds", t.cpu_s},
                       {"wait_seconds", number_or_null(t.wait_s)},
                       {"share", t.share()},
                       {"wait_share", t.wait_s ? json(t.wait_share()) : json(nullptr)},
                       {"slice_ns", t.slice ? json(*t.slice) : json(nullptr)}});
  }
  json made = {
      {"schema_version", 1},
      {"tool", "duel-load"},
      {"argv", s.o.argv},
      {"seed", s.o.seed()},
      {"load", load_of(s.o)},
      {"window",
       {{"begin_ns", s.when.begin},
        {"end_ns", s.when.end},
        {"seconds", s.seconds},
        {"warmup_seconds", static_cast<double>(s.when.begin - s.when.start) / 1e9}}},
      {"rate",
       {{"offered", is_open ? json(s.offered) : json(nullptr)},
        {"achieved", s.achieved}}},
      {"requests",
       {{"ok", s.ok},
        {"offered", is_open ? json(s.counts.offered) : json(nullptr)},
        {"in_flight_at_end", s.counts.in_flight},
        {"unfinished", s.counts.unfinished},
        {"unsent", s.counts.unsent},
        {"censored", is_open ? json(s.counts.censored) : json(nullptr)},
        {"longest_wait_ns", s.counts.longest_wait}}},
      {"errors", std::move(errors)},
      {"reconnects", s.counts.reconnects},
      {"idle_closes", s.counts.idle_closes},
      {"bytes", s.counts.bytes},
      {"bodies_checked", s.checked.bodies},
      {"ids_checked", s.o.unique_ids ? json(s.checked.ids) : json(nullptr)},
      {"connections",
       {{"asked_for", s.o.connections},
        {"established", s.established},
        {"served", s.served},
        {"zero_served", s.zero_served.size()},
        {"zero_served_first", names(s.zero_served)},
        {"fallen_silent", s.fallen_silent.size()},
        {"fallen_silent_first", names(s.fallen_silent)},
        {"requests", {{"min", s.least}, {"median", s.median}, {"max", s.most}}},
        {"jain", number_or_null(s.jain)}}},
      {"latency_ns",
       {{"intended", latency_of(s.intended, true)}, {"sent", latency_of(s.sent, true)}}},
      {"lateness_ns", latency_of(s.counts.lateness, false)},
      {"halves", {half_of(s, 0), half_of(s, 1)}},
      {"loader",
       {{"threads", std::move(threads)},
        {"exhausted", s.counts.exhausted},
        {"exhausted_by", s.counts.exhausted > 0
                             ? json(::strerrorname_np(s.counts.exhausted_by))
                             : json(nullptr)}}},
      {"littles_law", number_or_null(s.littles_law)},
      {"taints", s.taints}};
  // The command line may hold any bytes.
  return made.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace duel::load
