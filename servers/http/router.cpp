#include "servers/http/router.hpp"

namespace duel::http {

const route* find_route(std::span<const route> table, std::string_view path) noexcept {
  for (const route& r : table) {
    if (r.path == path) return &r;
  }
  return nullptr;
}

bool is_allowed(const route& at, method m) noexcept {
  if (at.allowed == methods::post) return m == method::post;
  return m == method::get || m == method::head;
}

void refuse_route(const route* found, responder& reply) {
  if (!found) return reply.send(404, text_plain, "nothing is here\n");
  std::string_view body = "the method is not allowed here\n";
  reply.begin({.status = 405,
               .content_type = text_plain,
               .content_length = body.size(),
               .allow = found->allowed == methods::post ? "POST" : "GET, HEAD"});
  reply.write(body);
}

}  // namespace duel::http
