// ring.hpp - one io_uring: set up as well as the kernel allows, submitted to, waited for.
//
// Owner thread only, interrupt() excepted. DEFER_TASKRUN makes the kernel finish requests
// only while this thread is inside io_uring_enter; TASKRUN_FLAG makes it say so in shared
// memory, so that a busy loop need not ask.
#pragma once

#include <liburing.h>

#include "runtimes/core/clock.hpp"
#include "runtimes/drivers/uring/uring_driver.hpp"

namespace duel::uring {

class ring {
 public:
  ring() = default;
  ring(const ring&) = delete;
  ring& operator=(const ring&) = delete;
  ~ring();

  // 0 or an errno value: EINVAL where the kernel lacks `work`.
  [[nodiscard]] int open(task_work work) noexcept;

  // A request to fill in; hands the earlier ones over when there is no room.
  [[nodiscard]] ::io_uring_sqe& next_request() noexcept;

  // Hands requests over; waits for a completion until `deadline` (at_once: does not
  // wait). No system call if there is nothing to hand over and nothing to wait or ask
  // for.
  void enter(time_point deadline) noexcept;

  // Calls complete(cqe) for each completion that has come.
  template <class Complete>
  void reap(Complete complete) noexcept {
    unsigned head, count = 0;
    ::io_uring_cqe* cqe;
    io_uring_for_each_cqe(&ring_, head, cqe) {
      ++count;
      complete(*cqe);
    }
    if (count > 0) ::io_uring_cq_advance(&ring_, count);
  }

  [[nodiscard]] bool has_work() const noexcept {
    return ::io_uring_sq_ready(&ring_) > 0 || ::io_uring_cq_ready(&ring_) > 0 ||
           asks_for_us();
  }

  // Any thread: makes the enter() under way, or the next one, return.
  void interrupt() noexcept;
  // Makes interrupt() complete a request with `user_data`; again whenever that has ended.
  void watch_doorbell(std::uint64_t user_data) noexcept;

  [[nodiscard]] ::io_uring& raw() noexcept { return ring_; }

 private:
  // The kernel has completions that it delivers only when asked.
  [[nodiscard]] bool asks_for_us() const noexcept {
    return IO_URING_READ_ONCE(*ring_.sq.kflags) &
           (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
  }

  ::io_uring ring_{};
  bool is_open_ = false;
  int doorbell_ = -1;  // eventfd; never read, because each write completes the poll once
};

}  // namespace duel::uring
