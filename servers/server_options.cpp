#include "servers/server_options.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>

#include "runtimes/switches.hpp"

namespace duel {

namespace {

constexpr const char* version = "duel-server 1.0";
constexpr int exit_usage = 2;

// CLI11 shows the returned text behind the flag's name.
CLI::Validator whole_number(std::uint64_t least, std::uint64_t most) {
  auto check = [=](const std::string& text) -> std::string {
    std::uint64_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    bool is_number = error == std::errc{} && end == text.data() + text.size();
    if (is_number && value >= least && value <= most) return "";
    return fmt::format("'{}' is no whole number from {} to {}", text, least, most);
  };
  return {check, fmt::format("{}..{}", least, most)};
}

// --NAME=VALUE into `given`; what the values are in each corner is the model's to say.
void add_switch(CLI::App& app, const model_switch& s,
                std::map<std::string, std::string>& given) {
  auto flag = fmt::format("--{}", s.name);
  auto where = fmt::format("{}{}{}", s.model.empty() ? "stealing and sharded" : s.model,
                           s.driver.empty() ? "" : "/", s.driver);
  auto text = fmt::format("{} [{}; {}: {}]", s.help, s.values, where, s.initial);
  if (auto* known = app.get_option_no_throw(flag)) {
    known->description(known->get_description() + "; " +
                       fmt::format("[{}; {}: {}]", s.values, where, s.initial));
    return;
  }
  app.add_option_function<std::string>(
         flag,
         [&given, name = std::string(s.name)](const std::string& v) { given[name] = v; },
         text)
      ->group("Switches of the models [values; where: default]");
}

std::string one_line(std::string text) {
  for (char& c : text) {
    if (c == '\n') c = ' ';
  }
  return text;
}

}  // namespace

void say(const std::string& line) {
  (void)!std::fputs((line + "\n").c_str(), stderr);
}

void complain(const std::string& message) {
  say(fmt::format("duel-server: {}", one_line(message)));
}

std::expected<server_options, int> parse_command_line(int argc, char** argv) {
  server_options o;
  std::uint64_t header_ms = 10'000, body_ms = 30'000, idle_ms = 60'000, write_ms = 30'000,
                drain_s = 5;
  std::string keep_alive = "on";
  constexpr std::uint64_t day_ms = 86'400'000;

  CLI::App app(
      "HTTP/1.1 server: the same handlers under interchangeable execution models.",
      "duel-server");
  app.set_version_flag("--version", version);
  app.option_defaults()->always_capture_default();
  app.add_option("--model", o.model, "serial, threads, stealing or sharded");
  app.add_option("--driver", o.driver, "blocking, epoll or uring (default: the model's)")
      ->default_str("");
  app.add_option("--workers", o.workers, "workers or shards (default: CPUs allowed)")
      ->check(whole_number(1, 1024))
      ->default_str("");
  app.add_option("--listen", o.listen, "address and port; port 0: the kernel chooses");
  app.add_option("--keep-alive", keep_alive, "off: every answer closes its connection")
      ->check(CLI::IsMember({"on", "off"}));
  app.add_option("--stats-file", o.stats_file, "where the final counters go, as JSON");
  app.add_option("--header-timeout-ms", header_ms,
                 "for a request's head, from its first byte; then 408")
      ->check(whole_number(1, day_ms));
  app.add_option("--body-timeout-ms", body_ms, "for each 64 KiB of a body; then 408")
      ->check(whole_number(1, day_ms));
  app.add_option("--idle-timeout-ms", idle_ms, "for the next request; then a close")
      ->check(whole_number(1, day_ms));
  app.add_option("--write-timeout-ms", write_ms,
                 "for the client to take each 64 KiB; then a close")
      ->check(whole_number(1, day_ms));
  app.add_option(
         "--max-header-bytes", o.http.most.head_bytes,
         fmt::format("larger heads get 431, or 414 where the request line alone is; so "
                     "do targets over {} bytes",
                     http::max_target))
      ->check(whole_number(64, 1 << 20));
  app.add_option("--max-body-bytes", o.http.most.body_bytes, "larger bodies get 413")
      ->check(whole_number(0, 1 << 30));
  app.add_option("--max-pipeline", o.http.max_pipeline,
                 "answers in a row for one connection; then they are sent and others "
                 "get their turn")
      ->check(whole_number(1, 1 << 20));
  app.add_option("--max-connections", o.max_connections,
                 "more get 503 and a close; 0: as many as there are descriptors, then "
                 "new ones wait in the backlog")
      ->check(whole_number(0, 1 << 30));
  app.add_option("--max-queued-bytes", o.max_queued_bytes,
                 "bytes of answers that wait in the kernel for a connection to take "
                 "them, then its handler waits; 0: as the kernel likes")
      ->check(whole_number(0, 1 << 30));
  app.add_option("--state", o.state,
                 "who has the values of /kv: shared, one map behind locks, or sharded, "
                 "each shard its own keys (model sharded only)")
      ->check(CLI::IsMember({"shared", "sharded"}));
  app.add_option("--max-kv-bytes", o.max_kv_bytes, "a PUT that would need more gets 507")
      ->check(whole_number(0, std::uint64_t{1} << 40));
  app.add_option("--drain-seconds", drain_s,
                 "patience with requests in flight at SIGTERM, SIGINT or SIGHUP")
      ->check(whole_number(0, 86'400));

  for (const model_switch& s : known_switches()) add_switch(app, s, o.switches);

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help_or_version) {
    return std::unexpected(app.exit(help_or_version));
  } catch (const CLI::ParseError& e) {
    complain(fmt::format("{} (duel-server --help lists the flags)", e.what()));
    return std::unexpected(exit_usage);
  }

  auto where = net::endpoint::parse(o.listen);
  if (!where) {
    complain(
        fmt::format("--listen: '{}' is no address (use ADDRESS:PORT, as 127.0.0.1:8080 "
                    "or [::1]:8080)",
                    o.listen));
    return std::unexpected(exit_usage);
  }
  o.where = *where;
  o.http.keep_alive = keep_alive == "on";
  o.http.header_timeout = std::chrono::milliseconds(header_ms);
  o.http.body_timeout = std::chrono::milliseconds(body_ms);
  o.http.idle_timeout = std::chrono::milliseconds(idle_ms);
  o.http.write_timeout = std::chrono::milliseconds(write_ms);
  o.drain = std::chrono::seconds(drain_s);
  return o;
}

}  // namespace duel
