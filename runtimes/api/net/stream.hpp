// stream.hpp - a connected TCP socket, in plain blocking-looking calls.
//
// Move-only; one task uses it at a time (one may receive while another sends). Errors are
// error codes: timed_out at the deadline, operation_canceled when the task is cancelled, else
// what the kernel said. Deadlines are absolute; `never` waits for ever.
#pragma once

#include <memory>
#include <span>

#include "runtimes/core/driver.hpp"

namespace duel::net {

class stream {
 public:
  // Takes over a connected descriptor; it is closed if that fails.
  [[nodiscard]] static result<stream> adopt(int fd);
  stream(stream&&) noexcept = default;
  stream& operator=(stream&& other) noexcept;
  ~stream() { close(); }

  // Some bytes, in pool memory; empty at the end of the stream.
  [[nodiscard]] result<buffer_lease> receive(time_point deadline = never);
  // All of `bytes`, or an error (how much was sent is then unknown).
  [[nodiscard]] result<void> send(std::span<const std::byte> bytes, time_point deadline = never);
  // No more will be sent: the peer reads end of stream.
  void shutdown_send() noexcept;
  // Closes at once; unread received bytes make the kernel reset the connection. May suspend.
  void close() noexcept;

  // Memory to build output in, of the driver's block size (16 KiB).
  [[nodiscard]] buffer_lease lease_buffer();

 private:
  explicit stream(std::unique_ptr<socket> s) noexcept : socket_(std::move(s)) {}
  std::unique_ptr<socket> socket_;
};

}  // namespace duel::net
