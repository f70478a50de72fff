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
      return "GET, HEAD";
    case methods::post:
      return "POST";
    case methods::all_of_a_value:
      return "GET, HEAD, PUT, DELETE";
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
    case method::other:
      break;
  }
  return false;
}

void refuse_route(const route* found, responder& reply) {
  if (!found) return reply.send(404, text_plain, "nothing is here\n");
  std::string_view body = "the method is not allowed here\n";
  reply.begin({.status = 405,
               .content_type = text_plain,
               .content_length = body.size(),
               .allow = names_of(found->allowed)});
  reply.write(body);
}

}  // namespace duel::http
