// kv.hpp - GET, HEAD, PUT and DELETE of /kv/KEY: the one handler with state to share.
//
// KEY is the rest of the path, percent-decoded: 1 to 256 bytes of any value. PUT keeps
// the request's body: 201 for a new key, 200 for a known one, 507 when the store is full.
// GET, HEAD and DELETE answer 404 for an unknown key.
#pragma once

#include <expected>

#include "servers/http/router.hpp"

namespace duel::handlers {

inline constexpr std::string_view kv_path = "/kv/";

void kv(const http::request& asked, http::responder& reply);

// The key that `path` names. The error is a line of text for the client.
[[nodiscard]] std::expected<std::string, std::string_view> key_of(std::string_view path);

}  // namespace duel::handlers
