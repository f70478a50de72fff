// fault_ring.hpp - the submission queues of another process, seen and changed from
// outside.
//
// A request that shall fail becomes one that does nothing and completes with the chosen
// result (Linux 6.10); one that shall be short loses bytes and MSG_WAITALL. The owner of
// the ring is inside io_uring_enter meanwhile, so nobody else touches the queue.
#pragma once

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>

namespace duel::faults {

class rings {
 public:
  explicit rings(int process) noexcept : process_(process) {}

  // Calls change(request) for each request that an io_uring_enter of `fd` is about to
  // hand over.
  template <class Change>
  void for_each_queued(int fd, unsigned count, Change change) {
    const view* ring = find(fd);
    if (!ring) return;
    auto word = [&](unsigned offset) -> std::uint32_t& {
      return *reinterpret_cast<std::uint32_t*>(ring->words + offset);
    };
    unsigned at = std::atomic_ref(word(offsets_.head)).load();
    unsigned mask = word(offsets_.ring_mask);
    for (; count > 0; --count, ++at) change(ring->requests[at & mask]);
  }

 private:
  struct view {
    std::byte* words;
    ::io_uring_sqe* requests;
  };

  static void* map(int fd, std::size_t size, std::uint64_t what) noexcept {
    void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                      static_cast<off_t>(what));
    return at == MAP_FAILED ? nullptr : at;
  }

  // Where the words lie does not depend on the ring: asked of one of our own.
  const view* find(int fd) {
    if (auto known = known_.find(fd); known != known_.end()) return &known->second;
    if (offsets_.ring_mask == 0) {
      ::io_uring_params own{};
      int made = static_cast<int>(::syscall(SYS_io_uring_setup, 1, &own));
      if (made < 0) return nullptr;
      ::close(made);
      offsets_ = own.sq_off;
    }
    int theirs = static_cast<int>(::syscall(SYS_pidfd_getfd, process_, fd, 0));
    if (theirs < 0) return nullptr;
    constexpr std::size_t words_size = 4096;
    auto* words = static_cast<std::byte*>(map(theirs, words_size, IORING_OFF_SQ_RING));
    std::size_t entries =
        words ? *reinterpret_cast<std::uint32_t*>(words + offsets_.ring_entries) : 0;
    auto* requests =
        words ? map(theirs, entries * sizeof(::io_uring_sqe), IORING_OFF_SQES) : nullptr;
    ::close(theirs);
    if (!requests) return nullptr;
    return &known_.emplace(fd, view{words, static_cast<::io_uring_sqe*>(requests)})
                .first->second;
  }

  const int process_;
  ::io_sqring_offsets offsets_{};
  std::map<int, view> known_;  // by the owner's descriptor
};

inline void fail(::io_uring_sqe& request, int error) noexcept {
  constexpr std::uint32_t inject_result = 1;  // IORING_NOP_INJECT_RESULT
  ::io_uring_sqe failing{};
  failing.opcode = IORING_OP_NOP;
  failing.fd = -1;
  failing.len = static_cast<std::uint32_t>(-error);
  failing.rw_flags = static_cast<decltype(failing.rw_flags)>(inject_result);
  failing.user_data = request.user_data;
  request = failing;
}

inline void shorten(::io_uring_sqe& request, std::uint32_t most) noexcept {
  if (request.opcode == IORING_OP_RECV) {
    request.ioprio &= static_cast<std::uint16_t>(~IORING_RECV_MULTISHOT);
    request.len = most;
  } else if (request.len > most) {
    request.msg_flags &= ~static_cast<std::uint32_t>(MSG_WAITALL);
    request.len = most;
  }
}

}  // namespace duel::faults
