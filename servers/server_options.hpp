// server_options.hpp - duel-server's command line.
#pragma once

#include <chrono>
#include <expected>
#include <map>
#include <string>

#include "runtimes/api/net/endpoint.hpp"
#include "servers/http/connection.hpp"

namespace duel {

struct server_options {
  std::string model = "stealing";
  std::string driver;                           // empty: the model's default
  unsigned workers = 0;                         // 0: as many as CPUs are allowed
  std::map<std::string, std::string> switches;  // of the model, as typed: switches.hpp
  std::string listen = "127.0.0.1:8080";
  net::endpoint where;  // the same, parsed
  http::options http;
  std::size_t max_connections = 0;            // 0: as many as there are descriptors
  std::size_t max_queued_bytes = 256 * 1024;  // 0: the kernel's
  std::chrono::seconds drain{5};
  std::string stats_file;        // empty: none
  std::string state = "shared";  // of /kv: or "sharded"
  std::size_t max_kv_bytes = 256 * 1024 * 1024;
};

// The options; or, when there is nothing to serve, the exit code, everything being
// printed.
[[nodiscard]] std::expected<server_options, int> parse_command_line(int argc,
                                                                    char** argv);

// Prints a line to stderr. Where nobody can read it, because the disk is full, it is
// lost and nothing else.
void say(const std::string& line);
// The same for "duel-server: MESSAGE".
void complain(const std::string& message);

}  // namespace duel
