#include "servers/http/request.hpp"

#include <strings.h>

#include <algorithm>
#include <array>

#include "servers/http/text.hpp"

namespace duel::http {

namespace {

constexpr std::string_view root = "/";

constexpr auto may_be_in_name = [] {
  std::array<bool, 256> all{};
  for (unsigned char c : std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrst"
                                          "uvwxyz0123456789-._~!$&'()*+,;=%")) {
    all[c] = true;
  }
  return all;
}();

// The size of the host that `s` begins with; 0 if there is none.
std::size_t host_size(std::string_view s) noexcept {
  if (s.starts_with('[')) {  // an IPv6 address
    auto end = s.substr(1).find_first_not_of("0123456789ABCDEFabcdef:.");
    return end > 0 && end < s.size() - 1 && s[end + 1] == ']' ? end + 2 : 0;
  }
  auto end = std::ranges::find_if_not(
      s, [](char c) { return may_be_in_name[static_cast<unsigned char>(c)]; });
  s = s.substr(0, static_cast<std::size_t>(end - s.begin()));
  for (auto at = s.find('%'); at != std::string_view::npos; at = s.find('%', at + 1)) {
    if (at + 2 >= s.size() || !is_hexadecimal(s[at + 1]) || !is_hexadecimal(s[at + 2]))
      return 0;
  }
  return s.size();
}

}  // namespace

bool is_authority(std::string_view s) noexcept {
  auto size = host_size(s);
  if (size == 0 || size == s.size()) return size > 0;
  auto port = s.substr(size + 1);
  return s[size] == ':' &&
         std::ranges::all_of(port, [](char c) { return c >= '0' && c <= '9'; });
}

target_is split_target(request& r) noexcept {
  std::string_view rest = r.target;
  r.query = {};
  r.path = root;
  if (rest == root) return target_is::here;
  r.path = rest;
  if (rest == "*" && r.method == method::options) return target_is::here;
  if (rest.find('#') != std::string_view::npos) return target_is::malformed;
  if (!rest.starts_with('/')) {
    constexpr std::string_view scheme = "http", mark = "://";
    auto scheme_end = rest.find(mark);
    if (scheme_end == std::string_view::npos) return target_is::malformed;
    if (scheme_end != scheme.size() ||
        ::strncasecmp(rest.data(), scheme.data(), scheme.size()) != 0) {
      return target_is::elsewhere;
    }
    rest.remove_prefix(scheme.size() + mark.size());
    auto authority_end = std::min(rest.find_first_of("/?"), rest.size());
    if (!is_authority(rest.substr(0, authority_end))) return target_is::malformed;
    rest.remove_prefix(authority_end);
  }
  auto mark = rest.find('?');
  r.path = rest.substr(0, mark);
  if (mark != std::string_view::npos) r.query = rest.substr(mark + 1);
  if (r.path.empty()) {
    // RFC 9112, 3.2.4: of the server as a whole.
    r.path = r.method == method::options && r.query.empty() ? "*" : root;
  }
  return target_is::here;
}

}  // namespace duel::http
