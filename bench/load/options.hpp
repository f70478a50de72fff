// options.hpp - the command line of duel-load.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "bench/load/arrivals.hpp"
#include "bench/load/clock.hpp"
#include "bench/load/service_times.hpp"

namespace duel::load {

struct options {
  std::string url = "http://127.0.0.1:8080/";
  sockaddr_in to{};
  std::string host, path, query;  // of the URL; host with the port, query without '?'
  std::vector<std::string> headers;

  std::size_t threads = 1, connections = 64, pipeline = 1;
  std::vector<unsigned> cpus;
  std::vector<in_addr> sources;
  double think_ms = 0;
  arrival_plan arrivals;
  std::optional<service_times> service;
  bool unique_ids = false;

  ns warmup = second, duration = 10 * second, cooldown = second;
  ns connect_timeout = 10 * second, timeout = 10 * second;

  unsigned expect_status = 200;
  std::optional<std::uint64_t> expect_length;
  std::optional<std::string> expect_body;
  bool any_body = false;

  std::string json, hgrm;
  std::vector<std::string> argv;

  [[nodiscard]] bool is_open_loop() const { return arrivals.rate > 0; }
  [[nodiscard]] std::uint64_t seed() const { return arrivals.seed; }
};

// The error is the exit status: a line has been printed, or the help.
std::expected<options, int> parse_command_line(int argc, char** argv);

// One line on standard error.
void complain(const std::string& message);

}  // namespace duel::load
