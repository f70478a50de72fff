#include "servers/http/router.hpp"

namespace duel::http {

namespace {

constexpr std::string_view root = "/";

bool fits(const route& r, std::string_view path) noexcept {
  if (r.path != root && r.path.ends_with('/')) return path.starts_with(r.path);
  return r.path == path;
}

std::string_view names_of(methods allowed) noexcept {
  switch (allowed) {
    case methods::get_and_head:
      return "GET, HEAD, OPTIONS";
    case methods::post:
      return "POST, OPTIONS";
    case methods::all_of_a_value:
      return "GET, HEAD, PUT, DELETE, OPTIONS";
  }
  return {};
}

}  // namespace

const route* find_route(std::span<const route> table, std::string_view path) noexcept {
  for (const route& r : table) {
    if (fits(r, path)) return &r;
  }
  return nullptr;
}

bool is_allowed(const route& at, method m) noexcept {
  switch (m) {
    case method::get:
    case method::head:
      return at.allowed != methods::post;
    case method::post:
      return at.allowed == methods::post;
    case method::put:
    case method::removal:
      return at.allowed == methods::all_of_a_value;
    case method::options:
      break;  // not the handler's to answer
  }
  return false;
}

void answer_in_place(const route* found, const request& to, responder& reply) {
  bool asks = to.method == method::options;
  bool is_of_server = asks && to.path == "*";
  if (!found && !is_of_server) return reply.send(404, text_plain, "nothing is here\n");
  std::string_view body = asks ? "" : "the method is not allowed here\n";
  reply.begin({.status = asks ? 200 : 405,
               .content_type = text_plain,
               .content_length = body.size(),
               .allow = is_of_server ? "GET, HEAD, POST, PUT, DELETE, OPTIONS"
                                     : names_of(found->allowed)});
  reply.write(body);
}

}  // namespace duel::http
