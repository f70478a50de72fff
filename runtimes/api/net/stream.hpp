// stream.hpp - a connected TCP socket, in plain blocking-looking calls.
//
// Move-only; one task uses it at a time (one may receive while another sends). Errors are
// error codes: timed_out at the deadline, operation_canceled when the task is cancelled,
// else what the kernel said. Deadlines are absolute; `never` waits for ever.
#pragma once

#include <memory>
#include <span>

#include "runtimes/core/driver.hpp"
#include "runtimes/core/scheduler.hpp"

namespace duel::net {

class stream {
 public:
  // Takes over a connected descriptor; it is closed if that fails.
  [[nodiscard]] static result<stream> adopt(int fd);
  stream(stream&&) noexcept = default;
  stream& operator=(stream&& other) noexcept;
  ~stream() { close(); }

  // Some bytes, in pool memory; empty at the end of the stream.
  [[nodiscard]] inline result<buffer_lease> receive(time_point deadline = never);
  // All of `bytes`, or an error (how much was sent is then unknown).
  [[nodiscard]] inline result<void> send(std::span<const std::byte> bytes,
                                         time_point deadline = never);
  // The same with memory that is handed over: it goes back to its pool when the kernel is
  // done with it, perhaps after this returned. At most one block is on its way; a failure
  // after the return is the next send's result.
  [[nodiscard]] inline result<void> send(buffer_lease block, time_point deadline = never);
  // No more will be sent: the peer reads end of stream after what has been. May suspend.
  void shutdown_send() noexcept;
  // A close from now on drops what the peer has not taken and resets the connection; the
  // kernel would go on offering it for minutes.
  void discard_unsent() noexcept;
  // Closes at once; unread received bytes make the kernel reset the connection. May
  // suspend.
  void close() noexcept;

  // Memory to build output in, of the driver's block size (16 KiB).
  [[nodiscard]] buffer_lease lease_buffer();

 private:
  explicit stream(std::unique_ptr<socket> s) noexcept : socket_(std::move(s)) {}
  std::unique_ptr<socket> socket_;
};

// Inline by force, as suspend() is and for the same reason: they return after a switch.
[[gnu::always_inline]] inline result<buffer_lease> stream::receive(time_point deadline) {
  operation op{
      .kind = io_kind::receive, .target = *socket_, .data = {}, .deadline = deadline};
  current_task()->owner.io().perform(op);
  if (op.result < 0) return failure(static_cast<int>(-op.result));
  return std::move(op.lease);
}

[[gnu::always_inline]] inline result<void> stream::send(std::span<const std::byte> bytes,
                                                        time_point deadline) {
  while (!bytes.empty()) {
    operation op{
        .kind = io_kind::send, .target = *socket_, .data = bytes, .deadline = deadline};
    current_task()->owner.io().perform(op);
    if (op.result < 0) return failure(static_cast<int>(-op.result));
    bytes = bytes.subspan(static_cast<std::size_t>(op.result));
  }
  return {};
}

[[gnu::always_inline]] inline result<void> stream::send(buffer_lease block,
                                                        time_point deadline) {
  std::span<const std::byte> bytes = block.bytes();
  operation op{
      .kind = io_kind::send, .target = *socket_, .data = bytes, .deadline = deadline};
  op.lease = std::move(block);
  current_task()->owner.io().perform(op);
  if (op.result < 0) return failure(static_cast<int>(-op.result));
  auto sent = static_cast<std::size_t>(op.result);
  return sent == bytes.size() ? result<void>() : send(bytes.subspan(sent), deadline);
}

}  // namespace duel::net
