#include "runtimes/api/net/stream.hpp"

#include <sys/socket.h>

#include "runtimes/core/scheduler.hpp"

namespace duel::net {

namespace {
driver& io() noexcept { return current_task()->owner.io(); }
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

result<buffer_lease> stream::receive(time_point deadline) {
  operation op{.kind = io_kind::receive, .target = *socket_, .data = {}, .deadline = deadline};
  io().perform(op);
  if (op.result < 0) return failure(static_cast<int>(-op.result));
  return std::move(op.lease);
}

result<void> stream::send(std::span<const std::byte> bytes, time_point deadline) {
  while (!bytes.empty()) {
    operation op{.kind = io_kind::send, .target = *socket_, .data = bytes, .deadline = deadline};
    io().perform(op);
    if (op.result < 0) return failure(static_cast<int>(-op.result));
    bytes = bytes.subspan(static_cast<std::size_t>(op.result));
  }
  return {};
}

void stream::shutdown_send() noexcept { ::shutdown(socket_->fd, SHUT_WR); }

void stream::close() noexcept {
  if (socket_) io().close(std::move(socket_));
}

buffer_lease stream::lease_buffer() { return io().lease_buffer(); }

}  // namespace duel::net
