#include "runtimes/api/net/endpoint.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <charconv>

namespace duel::net {

result<endpoint> endpoint::parse(std::string_view text) {
  auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return failure(std::errc::invalid_argument);
  std::string_view host = text.substr(0, colon), digits = text.substr(colon + 1);
  unsigned port = 65536;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc{} || end != digits.data() + digits.size() || port > 65535) {
    return failure(std::errc::invalid_argument);
  }
  endpoint e;
  bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&e.storage_);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(static_cast<std::uint16_t>(port));
    e.size_ = sizeof *v6;
    std::string name(host.substr(1, host.size() - 2));
    if (::inet_pton(AF_INET6, name.c_str(), &v6->sin6_addr) == 1) return e;
  } else {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&e.storage_);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(static_cast<std::uint16_t>(port));
    e.size_ = sizeof *v4;
    if (::inet_pton(AF_INET, std::string(host).c_str(), &v4->sin_addr) == 1) return e;
  }
  return failure(std::errc::invalid_argument);
}

endpoint endpoint::of_socket(int fd) {
  endpoint e;
  e.size_ = sizeof e.storage_;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&e.storage_), &e.size_);
  return e;
}

std::string endpoint::text() const {
  char host[INET6_ADDRSTRLEN] = "";
  if (family() == AF_INET6) {
    auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage_);
    ::inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
    return '[' + std::string(host) + "]:" + std::to_string(ntohs(v6->sin6_port));
  }
  auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage_);
  ::inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
  return std::string(host) + ':' + std::to_string(ntohs(v4->sin_port));
}

}  // namespace duel::net
