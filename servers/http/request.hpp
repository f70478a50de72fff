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
enum class method : std::uint8_t { get, head, post, put, removal, other };

struct request {
  http::method method = method::other;
  std::uint8_t minor = 1;   // HTTP/1.0 or HTTP/1.1
  bool keep_alive = false;  // what the client wants, by its version and Connection header
  std::string target;       // as sent
  std::string body;         // with transfer coding removed
  std::string_view path;    // views of target
  std::string_view query;   // without the question mark
};

// Sets path and query from target, of which "/p?q" and "http://authority/p?q" name a
// resource here. False if no target may look like that (a fragment).
[[nodiscard]] bool split_target(request& r) noexcept;

}  // namespace duel::http
