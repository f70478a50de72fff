// endpoint.hpp - an IPv4 or IPv6 address with a port, as text "127.0.0.1:8080" or
// "[::1]:8080".
#pragma once

#include <sys/socket.h>

#include <string>
#include <string_view>

#include "runtimes/core/result.hpp"

namespace duel::net {

class endpoint {
 public:
  // Numeric addresses only. Error: invalid_argument. Port 0: the kernel chooses.
  [[nodiscard]] static result<endpoint> parse(std::string_view text);
  [[nodiscard]] static endpoint of_socket(int fd);  // where a bound socket is bound

  [[nodiscard]] std::string text() const;
  [[nodiscard]] const sockaddr* address() const noexcept {
    return reinterpret_cast<const sockaddr*>(&storage_);
  }
  [[nodiscard]] socklen_t size() const noexcept { return size_; }
  [[nodiscard]] int family() const noexcept { return storage_.ss_family; }

 private:
  sockaddr_storage storage_{};
  socklen_t size_ = 0;
};

}  // namespace duel::net
