#include "servers/handlers/kv.hpp"

#include <charconv>

#include "servers/handlers/service.hpp"

namespace duel::handlers {

namespace {

using http::method;
using http::request;
using http::responder;
using http::text_plain;

constexpr std::string_view octets = "application/octet-stream";
constexpr std::size_t longest_key = 256;

// False: not two hexadecimal digits.
bool append_byte(std::string& to, std::string_view digits) {
  unsigned char byte = 0;
  const char* end = digits.data() + digits.size();
  if (digits.size() != 2 || std::from_chars(digits.data(), end, byte, 16).ptr != end) {
    return false;
  }
  to += static_cast<char>(byte);
  return true;
}

void put(const std::string& key, const request& asked, responder& reply) {
  switch (service::current().kv.put(key, asked.body)) {
    case store::put_end::created:
      return reply.send(201, text_plain, "created\n");
    case store::put_end::replaced:
      return reply.send(200, text_plain, "replaced\n");
    case store::put_end::full:
      return reply.send(507, text_plain,
                        "the store is full (--max-kv-bytes); nothing has changed\n");
  }
}

}  // namespace

std::expected<std::string, std::string_view> key_of(std::string_view path) {
  std::string key;
  for (path.remove_prefix(kv_path.size()); !path.empty();) {
    if (path.front() != '%') {
      key += path.front();
      path.remove_prefix(1);
    } else if (append_byte(key, path.substr(1, 2))) {
      path.remove_prefix(3);
    } else {
      return std::unexpected("a % in a key begins a byte of two hexadecimal digits\n");
    }
    if (key.size() > longest_key) break;
  }
  if (key.empty() || key.size() > longest_key) {
    return std::unexpected("a key has 1 to 256 bytes: /kv/KEY\n");
  }
  return key;
}

void kv(const request& asked, responder& reply) {
  auto key = key_of(asked.path);
  if (!key) return reply.send(400, text_plain, key.error());
  if (asked.method == method::put) return put(*key, asked, reply);
  store& all = service::current().kv;
  if (asked.method == method::removal) {
    if (all.erase(*key)) return reply.send(200, text_plain, "deleted\n");
  } else if (auto found = all.get(*key)) {
    return reply.send(200, octets, *found);
  }
  reply.send(404, text_plain, "no such key\n");
}

}  // namespace duel::handlers
