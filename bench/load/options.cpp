#include "bench/load/options.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sched.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <iterator>

namespace duel::load {

namespace {

constexpr const char* version = "duel-load 1.0";
constexpr int exit_usage = 2;

struct usage_error {
  std::string what;
};

template <class Number>
std::optional<Number> whole(std::string_view text) {
  Number value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

in_addr address(const std::string& text, std::string_view flag) {
  in_addr found{};
  std::string name = text == "localhost" ? "127.0.0.1" : text;
  if (::inet_pton(AF_INET, name.c_str(), &found) == 1) return found;
  throw usage_error{
      fmt::format("{}: '{}' is no IPv4 address (as 127.0.0.1)", flag, text)};
}

void read_url(options& o) {
  constexpr std::string_view scheme = "http://";
  std::string_view rest = o.url;
  if (!rest.starts_with(scheme)) {
    throw usage_error{
        fmt::format("'{}' is no URL (use http://ADDRESS:PORT/PATH)", o.url)};
  }
  rest.remove_prefix(scheme.size());
  auto slash = std::min(rest.find_first_of("/?"), rest.size());
  o.host = rest.substr(0, slash);
  std::string target(rest.substr(slash, rest.find('#') - slash));
  auto question = target.find('?');
  o.path = target.substr(0, question);
  if (o.path.empty()) o.path = "/";
  if (question != std::string::npos) o.query = target.substr(question + 1);
  if (std::any_of(target.begin(), target.end(), [](char c) { return c <= ' '; })) {
    throw usage_error{fmt::format("'{}' has a blank in it (write it as %20)", o.url)};
  }
  auto colon = o.host.find(':');
  std::optional<std::uint16_t> port = std::uint16_t{80};
  if (colon != std::string::npos) port = whole<std::uint16_t>(o.host.substr(colon + 1));
  if (!port || *port == 0) {
    throw usage_error{
        fmt::format("'{}' has a bad port (use http://ADDRESS:PORT/PATH)", o.url)};
  }
  o.to.sin_family = AF_INET;
  o.to.sin_port = htons(*port);
  o.to.sin_addr = address(o.host.substr(0, colon), "URL");
}

std::vector<unsigned> read_cpus(const std::string& text) {
  std::vector<unsigned> cpus;
  for (auto& part : CLI::detail::split(text, ',')) {
    auto dash = part.find('-');
    auto from = whole<unsigned>(part.substr(0, dash));
    auto to = dash == std::string::npos ? from : whole<unsigned>(part.substr(dash + 1));
    if (!from || !to || *from > *to || *to >= CPU_SETSIZE) {
      throw usage_error{fmt::format("--cpus: '{}' is no list of CPUs (as 0,2-3)", text)};
    }
    for (unsigned cpu = *from; cpu <= *to; ++cpu) cpus.push_back(cpu);
  }
  return cpus;
}

std::string read_expected(const std::string& given) {
  if (!given.starts_with('@')) return given;
  std::ifstream file(given.substr(1), std::ios::binary);
  if (!file) {
    throw usage_error{
        fmt::format("--expect-body: cannot read {} (check the path)", given.substr(1))};
  }
  return {std::istreambuf_iterator<char>(file), {}};
}

void check(const options& o) {
  auto demand = [](bool fine, const char* what) {
    if (!fine) throw usage_error{what};
  };
  demand(o.threads <= o.connections, "--threads: more than --connections (use fewer)");
  demand(o.think_ms == 0 || o.pipeline == 1, "--think-ms needs --pipeline 1");
  demand(o.think_ms == 0 || !o.is_open_loop(),
         "--think-ms is for the closed loop (leave --rate or --think-ms out)");
  demand(o.arrivals.zipf == 0 || o.is_open_loop(),
         "--zipf shares a rate among connections (give --rate)");
  demand(!o.service || o.path == "/work" || o.expect_body || o.any_body,
         "--service asks for /work?us=N (use the path /work, or give --expect-body)");
  demand(!o.any_body || !o.expect_body,
         "--any-body and --expect-body exclude each other");
}

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

// CLI::Range takes what is no number for one of its range.
CLI::Validator between(double least, double most) {
  auto check = [=](const std::string& text) {
    double value = 0;
    bool is_fine =
        CLI::detail::lexical_cast(text, value) && value >= least && value <= most;
    return is_fine ? "" : fmt::format("{} is not from {} to {}", text, least, most);
  };
  return CLI::Validator(check, fmt::format("FLOAT in [{} - {}]", least, most));
}

// What --help says; the values go to `o` and the rest to what needs a second look.
struct raw_flags {
  double warmup_s = 1, duration_s = 10, cooldown_s = 1, connect_timeout_s = 10,
         timeout_s = 10, burst_ms = 100, gap_ms = 400;
  std::string arrivals = "poisson", service, cpus, sources, expect_body;
};

void add_flags(CLI::App& app, options& o, raw_flags& raw) {
  auto seconds = between(0, 86'400), some = between(1e-3, 86'400);
  app.add_option("url", o.url, "http://ADDRESS:PORT/PATH");
  app.add_option("--connections", o.connections, "kept busy, or shared by the arrivals")
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--threads", o.threads, "each with its part of the connections")
      ->check(CLI::Range(1, 1024));
  app.add_option("--cpus", raw.cpus, "pins the threads, in turn (as 0,2-3)");
  app.add_option("--duration", raw.duration_s, "seconds that are measured")->check(some);
  app.add_option("--warmup", raw.warmup_s, "seconds before that")->check(seconds);
  app.add_option("--cooldown", raw.cooldown_s, "at most that long for the last answers")
      ->check(seconds);
  app.add_option("--connect-timeout", raw.connect_timeout_s,
                 "seconds until all must be connected")
      ->check(some);
  app.add_option(
         "--timeout", raw.timeout_s,
         "seconds until a request is given up and its connection renewed; 0: never")
      ->check(seconds);
  app.add_option("--pipeline", o.pipeline, "requests in flight on a connection, at most")
      ->check(CLI::Range(1, 1024));
  app.add_option("--think-ms", o.think_ms,
                 "closed loop: mean pause before the next request (exponential)")
      ->check(between(0, 3.6e6));
  app.add_option("--rate", o.arrivals.rate,
                 "open loop: requests a second, over all connections; 0: closed loop")
      ->check(between(0, 1e7));
  app.add_option("--arrivals", raw.arrivals, "poisson, uniform or onoff")
      ->check(CLI::IsMember({"poisson", "uniform", "onoff"}));
  app.add_option("--burst-ms", raw.burst_ms,
                 "onoff: arrivals come for this long, always the same")
      ->check(between(1e-3, 3.6e6));
  app.add_option("--gap-ms", raw.gap_ms, "onoff: and then for this long none")
      ->check(between(0, 3.6e6));
  app.add_option("--zipf", o.arrivals.zipf,
                 "connection number c gets a share of the rate like 1/(c+1)^S; 0: equal")
      ->check(between(0, 10));
  app.add_option("--service", raw.service,
                 "asks for /work?us=N with N drawn: det:TIME, exp:MEAN, "
                 "bimodal:SHORT,LONG,SHARE_OF_LONG, lognormal:MEAN,SIGMA or "
                 "pareto:MEAN,ALPHA (times as 50us, 1ms, 1s; SHARE_OF_LONG from 0 to 1)");
  app.add_option("--seed", o.arrivals.seed, "of all that is drawn");
  app.add_option("--source", raw.sources,
                 "source addresses, in turn (as 127.0.0.1,127.0.0.2)");
  app.add_option("--header", o.headers,
                 "'Name: value', added to each request; repeatable")
      ->allow_extra_args(false);
  app.add_option("--expect-status", o.expect_status, "of every answer")
      ->check(CLI::Range(200, 599));
  app.add_option("--expect-length", o.expect_length, "of every body");
  app.add_option("--expect-body", raw.expect_body,
                 "of every answer, or @FILE; {us} and {id} stand for the request's own "
                 "(default: as the first answer)");
  app.add_flag("--any-body", o.any_body, "bodies may differ");
  app.add_flag("--unique-ids", o.unique_ids,
               "every request has its own id: the body of POST /echo, the length of "
               "/bytes?n=, else ?id=");
  app.add_option("--json", o.json, "the result as JSON (bench/load/DESIGN.md)");
  app.add_option("--hgrm", o.hgrm,
                 "NAME.intended.hgrm and NAME.sent.hgrm, HdrHistogram percentiles");
}

}  // namespace

void complain(const std::string& message) {
  (void)!std::fputs(("duel-load: " + one_line(message) + "\n").c_str(), stderr);
}

std::expected<options, int> parse_command_line(int argc, char** argv) {
  options o;
  raw_flags raw;
  o.argv.assign(argv, argv + argc);
  CLI::App app(
      "HTTP/1.1 load: closed loop, or open loop with --rate. Every answer is checked.\n"
      "Exit status: 0 measured (also where the server failed), 1 could not measure,\n"
      "2 wrong usage, 130 or 143 stopped by a signal (what was measured is printed).",
      "duel-load");
  app.set_version_flag("--version", version);
  app.option_defaults()->always_capture_default();
  add_flags(app, o, raw);
  try {
    app.parse(argc, argv);
    read_url(o);
    if (!raw.cpus.empty()) o.cpus = read_cpus(raw.cpus);
    if (!raw.sources.empty()) {
      for (auto& each : CLI::detail::split(raw.sources, ',')) {
        o.sources.push_back(address(each, "--source"));
      }
    }
    if (!raw.service.empty()) {
      auto made = service_times::parse(raw.service);
      if (!made) throw usage_error{"--service: " + made.error()};
      o.service = *made;
    }
    if (app.count("--expect-body")) o.expect_body = read_expected(raw.expect_body);
    o.arrivals.kind = raw.arrivals == "poisson"   ? arrival_kind::poisson
                      : raw.arrivals == "uniform" ? arrival_kind::uniform
                                                  : arrival_kind::onoff;
    o.arrivals.burst_s = raw.burst_ms / 1e3, o.arrivals.gap_s = raw.gap_ms / 1e3;
    o.warmup = of_seconds(raw.warmup_s), o.duration = of_seconds(raw.duration_s);
    o.cooldown = of_seconds(raw.cooldown_s), o.timeout = of_seconds(raw.timeout_s);
    o.connect_timeout = of_seconds(raw.connect_timeout_s);
    check(o);
  } catch (const CLI::Success& help_or_version) {
    return std::unexpected(app.exit(help_or_version));
  } catch (const CLI::ParseError& e) {
    complain(fmt::format("{} (duel-load --help lists the flags)", e.what()));
    return std::unexpected(exit_usage);
  } catch (const usage_error& e) {
    complain(e.what);
    return std::unexpected(exit_usage);
  }
  return o;
}

}  // namespace duel::load
