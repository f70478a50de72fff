// interrupt.hpp - how another thread ends a system call that a task's OS thread is
// blocked in.
//
// For the blocking models. The task says in task::blocked_fd which socket it is about to
// block in; whoever cancels it shuts that socket down, and the call returns. What the
// word holds:
//   nowhere         the task is in no blocking call
//   4 * fd + flags  it is, or is about to be (flags below)
//   held            a canceller looks; the task neither enters nor leaves a call, so the
//                   descriptor cannot be closed and reused under shutdown()
//
// (I1) with (I2): both sides change this one word by compare-and-swap, so one comes
// first. If the task's, the canceller sees the descriptor. If the canceller's, the task's
// reads what the canceller wrote and with it the cancellation, which it checks after
// entering. Never neither.
//
// A socket that was shut down stays so: the task's peer in the other direction and a
// listening socket's later calls find it finished. Next: blocking_scheduler.cpp.
#pragma once

#include <sys/socket.h>

#include "runtimes/core/suspend.hpp"
#include "runtimes/core/sync.hpp"

namespace duel {

enum class blocked_direction { in, out };  // in: receive and accept; out: send

namespace blocked {
inline constexpr int nowhere = -1, held = -2;
inline constexpr int shielded = 1;  // only a cut may interrupt
inline constexpr int sending = 2;
}  // namespace blocked

// While one lives, the running task may be blocked in `fd`. Check is_cancelled() inside
// it, before the call.
class interruptible_scope {
 public:
  interruptible_scope(task& self, int fd, blocked_direction direction) noexcept
      : word_(self.blocked_fd),
        code_(fd << 2 | (direction == blocked_direction::out ? blocked::sending : 0) |
              (self.shield > 0 ? blocked::shielded : 0)) {
    replace(blocked::nowhere, code_);
  }
  ~interruptible_scope() { replace(code_, blocked::nowhere); }
  interruptible_scope(const interruptible_scope&) = delete;
  interruptible_scope& operator=(const interruptible_scope&) = delete;

 private:
  void replace(int from, int to) noexcept {
    int seen = from;
    while (!word_.compare_exchange_weak(seen, to,
                                        std::memory_order_acq_rel,     // (I1) with (I2)
                                        std::memory_order_relaxed)) {  // relaxed: retried
      if (seen == blocked::held) sync::yield_thread();
      seen = from;
    }
  }

  sync::atomic<int>& word_;
  const int code_;
};

// Any thread that keeps `t` alive, after it has made the cancellation visible. `cut`:
// shields do not protect.
inline void interrupt(task& t, bool cut) noexcept {
  int seen = t.blocked_fd.load(std::memory_order_relaxed);  // relaxed: checked by the CAS
  while (seen == blocked::held || !t.blocked_fd.compare_exchange_weak(
                                      seen, blocked::held,
                                      std::memory_order_acq_rel,     // (I2) with (I1)
                                      std::memory_order_relaxed)) {  // relaxed: retried
    if (seen != blocked::held) continue;
    sync::yield_thread();
    seen = t.blocked_fd.load(std::memory_order_relaxed);  // relaxed: checked by the CAS
  }
  if (seen != blocked::nowhere && (cut || !(seen & blocked::shielded))) {
    ::shutdown(seen >> 2, seen & blocked::sending ? SHUT_RDWR : SHUT_RD);
  }
  t.blocked_fd.store(seen, std::memory_order_release);  // (I2) with (I1)
}

}  // namespace duel
