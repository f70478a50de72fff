// connection.hpp - one HTTP/1.1 connection from its first byte to its close.
//
// Written as if it blocked; runs in a task of its own under any model. Between requests
// it can be cancelled and owns no buffer; from the first byte of a request to the last of
// its answer a drain lets it finish.
#pragma once

#include <chrono>

#include "servers/http/parser.hpp"
#include "servers/http/router.hpp"

namespace duel::http {

struct options {
  std::span<const route> routes;
  limits most;
  bool keep_alive = true;  // false: every answer closes its connection
  // For the head, from its first byte. For the body, from the last bytes that came.
  std::chrono::milliseconds header_timeout{10'000};
  // For the next request's first byte, from when the answer before was handed over.
  std::chrono::milliseconds idle_timeout{60'000};
  std::chrono::milliseconds write_timeout{30'000};  // for each block of at most 64 KiB
};

enum class connection_end {
  closed,  // by either side, in whatever state
  cut,     // a request was under way and the scheduler did not wait for it
};

// `how` outlives the call.
connection_end serve_connection(net::stream peer, const options& how);

}  // namespace duel::http
