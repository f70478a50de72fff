#include "runtimes/api/net/stream.hpp"

#include <sys/socket.h>

#include "runtimes/core/scheduler.hpp"

namespace duel::net {

namespace {
driver& io() noexcept {
  return current_task()->owner.io();
}
}  // namespace

result<stream> stream::adopt(int fd) {
  auto s = io().adopt(fd);
  if (!s) return std::unexpected(s.error());
  return stream(std::move(*s));
}

stream& stream::operator=(stream&& other) noexcept {
  close();
  socket_ = std::move(other.socket_);
  return *this;
}

void stream::shutdown_send() noexcept {
  io().finish_sends(*socket_);
  ::shutdown(socket_->fd, SHUT_WR);
}

void stream::discard_unsent() noexcept {
  linger none{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket_->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

void stream::close() noexcept {
  if (socket_) io().close(std::move(socket_));
}

buffer_lease stream::lease_buffer() {
  return io().lease_buffer();
}

}  // namespace duel::net
