// router.hpp - which function answers a request: a table of plain functions.
#pragma once

#include <span>

#include "servers/http/response.hpp"

namespace duel::http {

// Runs in the connection's task and may wait. An exception becomes a 500.
using handler = void (*)(const request&, responder&);

// `all_of_a_value`: GET, HEAD, PUT and DELETE.
enum class methods : std::uint8_t { get_and_head, post, all_of_a_value };

struct route {
  std::string_view path;  // "/a": that path; "/a/": every path that begins so
  methods allowed;
  // Answers to earlier pipelined requests are sent before a handler that may take long.
  bool may_wait;
  handler answer;
};

// The first route that fits the path, or null.
[[nodiscard]] const route* find_route(std::span<const route> table,
                                      std::string_view path) noexcept;
[[nodiscard]] bool is_allowed(const route& at, method m) noexcept;

// Answers what no handler does: 404, 405, and OPTIONS, of a path or of the server ("*").
void answer_in_place(const route* found, const request& to, responder& reply);

}  // namespace duel::http
