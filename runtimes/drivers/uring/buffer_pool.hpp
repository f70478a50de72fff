// buffer_pool.hpp - memory that the kernel fills with received bytes: a provided-buffer
// ring.
//
// The kernel takes a buffer when bytes arrive, not when a receive is armed, so a
// connection that waits owns none. A buffer is in one of three places: with the kernel,
// in the queue of unread bytes of one socket (unread_queue), or out on a lease.
//
// The pool starts small, because the ring hands buffers out in turn and a small set stays
// in the cache; it doubles when the kernel runs dry, up to a limit. Sockets that nobody
// reads and leases that are kept can hold them all for as long as they like: whoever uses
// the pool must get on without it. Owner thread only.
#pragma once

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "runtimes/core/config.hpp"

namespace duel::uring {

class buffer_pool {
 public:
  static constexpr unsigned buffer_size = 2048;  // bytes; most requests fit in one
  static constexpr unsigned first_count = 128;   // 256 KiB
  static constexpr unsigned most = 8192;         // 16 MiB a shard; a power of two
  static constexpr unsigned short group = 0;     // the ring's name for the pool

  buffer_pool() = default;
  buffer_pool(const buffer_pool&) = delete;
  buffer_pool& operator=(const buffer_pool&) = delete;
  ~buffer_pool();

  // Registers with `ring`, which must outlive the pool. 0 or an errno value.
  [[nodiscard]] int open(::io_uring& ring) noexcept;

  [[nodiscard]] std::span<std::byte> memory(unsigned id) const noexcept {
    return {memory_ + std::size_t{id} * buffer_size, buffer_size};
  }

  // A completion says that the kernel has used one.
  void taken() noexcept { --with_kernel_; }
  // Gives one to the kernel.
  void give_back(unsigned id) noexcept;
  // True if the kernel has buffers, now or after giving it more: arming a receive can
  // work.
  [[nodiscard]] bool replenish() noexcept;

 private:
  friend class unread_queue;
  struct link {
    std::uint16_t next, size;
  };

  ::io_uring* ring_ = nullptr;
  ::io_uring_buf_ring* shared_ = nullptr;  // read by the kernel
  std::byte* memory_ = nullptr;            // `most` buffers; untouched ones cost nothing
  std::unique_ptr<link[]> links_;          // [id], of buffers in an unread_queue
  unsigned count_ = 0;                     // buffers in use so far: ids 0 to count_ - 1
  unsigned with_kernel_ = 0;
};

// A socket's received and not yet read bytes, oldest first: a list through the pool's
// links.
class unread_queue {
 public:
  void push(buffer_pool& pool, unsigned id, unsigned size) noexcept {
    pool.links_[id] = {0, static_cast<std::uint16_t>(size)};
    (count_ ? pool.links_[last_].next : first_) = static_cast<std::uint16_t>(id);
    last_ = static_cast<std::uint16_t>(id);
    ++count_;
  }
  struct entry {
    unsigned id, size;
  };
  // Not empty.
  [[nodiscard]] entry pop(buffer_pool& pool) noexcept {
    DUEL_ASSERT(count_ > 0);
    entry e{first_, pool.links_[first_].size};
    first_ = pool.links_[first_].next;
    --count_;
    return e;
  }
  [[nodiscard]] unsigned size() const noexcept { return count_; }
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }

 private:
  std::uint16_t first_ = 0, last_ = 0, count_ = 0;
};

}  // namespace duel::uring
