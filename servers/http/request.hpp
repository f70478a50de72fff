// request.hpp - one parsed HTTP/1.x request, as handlers see it.
//
// Belongs to the connection's parser; its views are good until the next request is
// parsed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace duel::http {

// `removal` is DELETE, which is a word of C++.
enum class method : std::uint8_t { get, head, post, put, removal, options };

struct request {
  http::method method = method::get;
  std::uint8_t minor = 1;   // HTTP/1.0 or HTTP/1.1
  bool keep_alive = false;  // what the client wants, by its version and Connection header
  std::string target;       // as sent
  std::string body;         // with transfer coding removed
  std::string_view path;    // views of target
  std::string_view query;   // without the question mark
};

// `elsewhere`: of a scheme that is not spoken here.
enum class target_is : std::uint8_t { here, elsewhere, malformed };

// Sets path and query from target: "/p?q" or "http://authority/p?q", for OPTIONS also
// "*".
[[nodiscard]] target_is split_target(request& r) noexcept;

// Whether it may stand in Host, or behind "http://": a host that is not empty, and
// perhaps a port (RFC 9110, 4.2.1 and 7.2; RFC 3986, 3.2.2). User information may not
// (RFC 9110, 4.2.4).
[[nodiscard]] bool is_authority(std::string_view s) noexcept;

}  // namespace duel::http
