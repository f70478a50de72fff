// text_report.cpp - a summary as wrk prints it, and what wrk does not see.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "bench/load/own_limits.hpp"
#include "bench/load/summary.hpp"

namespace duel::load {

namespace {

std::string duration(double ns) {
  if (ns < 1e3) return fmt::format("{:.0f}ns", ns);
  if (ns < 1e6) return fmt::format("{:.2f}us", ns / 1e3);
  if (ns < 1e9) return fmt::format("{:.2f}ms", ns / 1e6);
  return fmt::format("{:.2f}s", ns / 1e9);
}

std::string duration(std::uint64_t ns) {
  return duration(static_cast<double>(ns));
}

// Of a histogram that may be empty.
std::string duration(const histogram& h, auto value) {
  return h.count() > 0 ? duration(value) : "-";
}

std::string names(const std::vector<connection_record>& which) {
  constexpr std::size_t most = 8;
  std::string text;
  for (std::size_t i = 0; i < std::min(most, which.size()); ++i) {
    text += fmt::format("{}#{} (port {})", i ? ", " : "", which[i].number, which[i].port);
  }
  return which.size() > most ? text + ", ..." : text;
}

std::string figure(const std::optional<double>& value) {
  return value ? fmt::format("{:.3f}", *value) : "-";
}

}  // namespace

std::string as_text(const summary& s) {
  std::string text;
  auto line = [&]<class... Parts>(fmt::format_string<Parts...> form, Parts&&... parts) {
    fmt::format_to(std::back_inserter(text), form, std::forward<Parts>(parts)...);
    text += '\n';
  };
  const options& o = s.o;
  line("Ran {:.2f}s test @ {}", s.seconds, o.url);
  line("  {} thread{} and {} connections, {}", o.threads, o.threads > 1 ? "s" : "",
       o.connections,
       o.is_open_loop()
           ? fmt::format("open loop: {:.6g} requests/s", o.arrivals.rate)
           : fmt::format("closed loop{}", o.think_ms > 0 ? " with pauses" : ""));
  line("  Latency          {:>10} {:>10}", "intended", "sent");
  line("    Avg            {:>10} {:>10}", duration(s.intended, s.intended.mean()),
       duration(s.sent, s.sent.mean()));
  line("    Max            {:>10} {:>10}", duration(s.intended, s.intended.max()),
       duration(s.sent, s.sent.max()));
  line("  Latency Distribution");
  for (double p : {50.0, 75.0, 90.0, 99.0, 99.9}) {
    line("    {:>5}%         {:>10} {:>10}", p,
         duration(s.intended, s.intended.percentile(p / 100)),
         duration(s.sent, s.sent.percentile(p / 100)));
  }
  if (s.counts.lateness.count() > 0) {
    line("  Sent late by     p50 {}, p99 {}, max {}",
         duration(s.counts.lateness.percentile(0.5)),
         duration(s.counts.lateness.percentile(0.99)), duration(s.counts.lateness.max()));
  }
  line("  {} requests in {:.2f}s, {:.2f}MB read", s.ok, s.seconds,
       static_cast<double>(s.counts.bytes) / 1e6);
  line(
      "  Connections: {} of {} established, {} served; requests each: {} min, {} median, "
      "{} max; Jain {}",
      s.established, o.connections, s.served, s.least, s.median, s.most, figure(s.jain));
  if (!s.zero_served.empty()) {
    line("  Zero-served: {}: {}", s.zero_served.size(), names(s.zero_served));
  }
  if (!s.fallen_silent.empty()) {
    line("  Fallen silent: {}: {}", s.fallen_silent.size(), names(s.fallen_silent));
  }
  if (s.errors > 0) {
    text += "  Errors:";
    for (std::size_t i = 0; i < fault_names.size(); ++i) {
      if (s.counts.faults[i]) {
        text += fmt::format(" {} {}", fault_names[i], s.counts.faults[i]);
      }
    }
    text += '\n';
  }
  if (s.counts.reconnects > 0) line("  Reconnects: {}", s.counts.reconnects);
  if (s.counts.unfinished + s.counts.unsent > 0) {
    line("  Unfinished: {}, never sent: {}; the longest waited {}", s.counts.unfinished,
         s.counts.unsent, duration(static_cast<double>(s.counts.longest_wait)));
  }
  text += "  Loader CPU:";
  for (auto& t : s.threads) text += fmt::format(" {:.0f}%", 100 * t.share());
  text += ", waiting for one:";
  for (auto& t : s.threads) {
    text += t.wait_s ? fmt::format(" {:.0f}%", 100 * t.wait_share()) : " -";
  }
  if (o.is_open_loop()) {
    text += ", slices:";
    for (auto& t : s.threads) {
      text += t.slice ? ' ' + duration(static_cast<double>(*t.slice)) : " the kernel's";
    }
  }
  text += '\n';
  if (s.counts.exhausted > 0) {
    line("  Loader exhausted: {} times {}", s.counts.exhausted,
         say_own_limit(s.counts.exhausted_by));
  }
  if (o.is_open_loop()) {
    line("Offered/sec:  {:.2f}", s.offered);
  } else {
    line("  Little's law: {} (throughput x mean / connections)", figure(s.littles_law));
  }
  line("Requests/sec: {:.2f}", s.achieved);
  text += "Taints:";
  for (auto word : s.taints) text += fmt::format(" {}", word);
  text += s.taints.empty() ? " none\n" : "\n";
  return text;
}

}  // namespace duel::load
