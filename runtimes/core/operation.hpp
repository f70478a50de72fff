// operation.hpp - one I/O request: the same call site whichever driver carries it out.
//
// An operation lives on its task's stack for exactly as long as driver::perform() takes,
// and perform() returns only when no kernel and no driver refers to it any more: its
// buffers need no owner but the stack. Memory that is handed over with a send (`lease`)
// is the driver's from then on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "runtimes/core/clock.hpp"

namespace duel {

class driver;
class task;

// Received bytes in memory that belongs to a driver's pool, handed out when bytes arrive
// and given back when the lease dies: an idle connection owns no buffer. Move-only; give
// it back on the home that received it (where every task of a connection runs).
class buffer_lease {
 public:
  buffer_lease() noexcept = default;
  buffer_lease(driver& pool, std::span<std::byte> bytes, unsigned id) noexcept
      : pool_(&pool), bytes_(bytes), id_(id) {}
  buffer_lease(buffer_lease&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)),
        bytes_(std::exchange(other.bytes_, {})),
        id_(other.id_) {}
  buffer_lease& operator=(buffer_lease&& other) noexcept {
    if (this != &other) {
      reset();
      pool_ = std::exchange(other.pool_, nullptr);
      bytes_ = std::exchange(other.bytes_, {});
      id_ = other.id_;
    }
    return *this;
  }
  ~buffer_lease() { reset(); }

  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return bytes_; }
  [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }
  [[nodiscard]] unsigned id() const noexcept { return id_; }
  // Shortens the lease to its first `size` bytes.
  void trim(std::size_t size) noexcept { bytes_ = bytes_.first(size); }
  void reset() noexcept;

 private:
  driver* pool_ = nullptr;
  std::span<std::byte> bytes_;
  unsigned id_ = 0;  // the pool's name for the memory
};

// A driver's record of one descriptor; each driver derives its own. Owned by the net
// layer, which closes it with driver::close().
struct socket {
  explicit socket(int descriptor) noexcept : fd(descriptor) {}
  socket(const socket&) = delete;
  socket& operator=(const socket&) = delete;
  virtual ~socket() = default;
  const int fd;
};

enum class io_kind : std::uint8_t {
  accept,   // result: a new descriptor
  receive,  // result: bytes in `lease`; 0 at end of stream
  send,     // result: bytes of `data` taken by the kernel, at least 1
};

struct operation {
  io_kind kind;
  socket& target;
  std::span<const std::byte> data;  // send: what to write
  time_point deadline = never;

  std::int64_t result = 0;  // as above, or -errno (-ETIMEDOUT, -ECANCELED among them)
  // receive: the bytes. send: if set, it owns `data`, and a driver may take it, report
  // everything as sent at once, and report a failure at the socket's next send.
  buffer_lease lease;
};

}  // namespace duel
