#include "servers/http/request.hpp"

#include <strings.h>

namespace duel::http {

namespace {
constexpr std::string_view scheme = "http://";
constexpr std::string_view root = "/";
}  // namespace

bool split_target(request& r) noexcept {
  std::string_view rest = r.target;
  r.query = {};
  r.path = rest;
  if (rest == root) return true;
  if (rest.find('#') != std::string_view::npos) return false;
  if (rest.size() > scheme.size() &&
      ::strncasecmp(rest.data(), scheme.data(), scheme.size()) == 0) {
    auto authority_end = rest.find_first_of("/?", scheme.size());
    rest = authority_end == std::string_view::npos ? root : rest.substr(authority_end);
  }
  auto mark = rest.find('?');
  r.path = rest.substr(0, mark);
  if (mark != std::string_view::npos) r.query = rest.substr(mark + 1);
  if (r.path.empty()) r.path = root;
  return true;
}

}  // namespace duel::http
