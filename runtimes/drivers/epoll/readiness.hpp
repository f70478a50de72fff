// readiness.hpp - what is known about a descriptor, and who waits to know more.
//
// One word: readiness bits and a tick that every event increments. The poller sets bits;
// a task whose system call would have blocked clears them, but only if the tick has not
// moved since it looked: otherwise an edge that arrived in between would be lost for
// ever.
//
// A short read or write is as good as EAGAIN: it drained the descriptor, so the bit is
// cleared without asking again (two system calls a request, not three). The closed bits
// stay. The shape is Tokio's (tokio/src/runtime/io/scheduled_io.rs, tokio#5866).
//
// The kernel also ends a read at TCP's urgent mark. What has already arrived behind it
// then waits for the next edge, or for the reader's deadline: asking again after every
// short read, for clients that send urgent data, would cost all the others a call.
#pragma once

#include <cstdint>

#include "runtimes/core/config.hpp"
#include "runtimes/core/sync.hpp"
#include "runtimes/core/waker.hpp"

namespace duel::epoll {

class readiness {
 public:
  static constexpr std::uint32_t readable = 1, writable = 2, read_closed = 4,
                                 one_tick = 16, bits = one_tick - 1;

  // Optimistic: the first operation asks the kernel.
  // (R1) the poller publishes an event; with (V1), (V2) of waiter_slot.
  void set(std::uint32_t ready) noexcept {
    auto seen = word_.load(std::memory_order_relaxed);  // relaxed: the exchange decides
    while (!word_.compare_exchange_weak(seen, (seen | ready) + one_tick,
                                        std::memory_order_seq_cst,
                                        std::memory_order_relaxed)) {  // relaxed: retried
    }
  }
  [[nodiscard]] std::uint32_t get() const noexcept {
    return word_.load(std::memory_order_seq_cst);
  }
  // `seen` is what get() returned before the system call.
  void clear(std::uint32_t seen, std::uint32_t which) noexcept {
    // relaxed on failure: (R1) was faster, the bits stay.
    word_.compare_exchange_strong(seen, seen & ~which, std::memory_order_acq_rel,
                                  std::memory_order_relaxed);  // relaxed: see above
  }

 private:
  sync::atomic<std::uint32_t> word_{readable | writable};
};

// The task that waits for one direction of a descriptor; at most one.
//
//   waiting task                        poller
//   (V1) slot = waker                   (R1) set the bits
//   (V2) look at the bits again         (V3) take the waker out of the slot
//
// All seq_cst: either the task sees the bits or the poller sees the waker.
class waiter_slot {
 public:
  // `is_ready()` reads again whatever may have called wake() meanwhile.
  template <class IsReady>
  void wait(waker w, IsReady is_ready) noexcept {
    [[maybe_unused]] task* before = slot_.exchange(w.release());  // (V1)
    DUEL_ASSERT(before == nullptr);
    if (is_ready()) wake();  // (V2)
  }
  // True if somebody waited.
  bool wake() noexcept {
    if (slot_.load() == nullptr) return false;  // (V3)
    task* t = slot_.exchange(nullptr);
    if (t != nullptr) waker::adopt(*t).wake();
    return t != nullptr;
  }
  // The task runs again and waits no longer.
  void leave() noexcept {
    if (slot_.load() == nullptr) return;
    if (task* t = slot_.exchange(nullptr)) waker::adopt(*t).reset();
  }

 private:
  sync::atomic<task*> slot_{nullptr};
};

}  // namespace duel::epoll
