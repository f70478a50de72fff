// ring.hpp - one io_uring: set up as well as the kernel allows, submitted to, waited for.
//
// Owner thread only, interrupt() excepted. DEFER_TASKRUN makes the kernel finish requests
// only while this thread is inside io_uring_enter; TASKRUN_FLAG makes it say so in shared
// memory, so that a busy loop need not ask.
#pragma once

#include <liburing.h>

#include <utility>

#include "runtimes/core/clock.hpp"
#include "runtimes/drivers/uring/uring_driver.hpp"

namespace duel::uring {

class ring {
 public:
  ring() = default;
  ring(const ring&) = delete;
  ring& operator=(const ring&) = delete;
  ~ring();

  // 0 or an errno value: EINVAL where the kernel lacks `work`. `flush`: see options.
  [[nodiscard]] int open(task_work work, unsigned flush = every_turn) noexcept;

  // A request to fill in; hands the earlier ones over when there is no room, or when they
  // are as many as `flush` says.
  [[nodiscard]] ::io_uring_sqe& next_request() noexcept;

  // Hands requests over; waits for a completion until `deadline` (at_once: does not
  // wait, and hands over what is due). No system call if there is nothing to hand over
  // and nothing to wait or ask for.
  void enter(time_point deadline) noexcept;

  // Calls complete(cqe) for each completion that has come. How many.
  template <class Complete>
  unsigned reap(Complete complete) noexcept {
    unsigned head, count = 0;
    ::io_uring_cqe* cqe;
    io_uring_for_each_cqe(&ring_, head, cqe) {
      ++count;
      complete(*cqe);
    }
    if (count > 0) ::io_uring_cq_advance(&ring_, count);
    return count;
  }

  // Asked once a turn by an owner that does not sleep, whose requests would otherwise
  // wait for ever if they are handed over before sleeping.
  [[nodiscard]] bool has_work() const noexcept {
    if (queued_ > 0) ++turns_held_;
    return is_due() || ::io_uring_cq_ready(&ring_) > 0 || asks_for_us();
  }

  // Any thread: makes the enter() under way, or the next one, return.
  void interrupt() noexcept;
  // Makes interrupt() complete a request with `user_data`; again whenever that has ended.
  void watch_doorbell(std::uint64_t user_data) noexcept;

  // The same through the rings, on the thread of this one: completes a request of `other`
  // with `there`; if that fails, one of this ring with `here`. Hands over at once.
  void ring_other(ring& other, std::uint64_t there, std::uint64_t here) noexcept;

  // What has been done since this was last called.
  struct tally {
    std::uint64_t calls = 0;     // of io_uring_enter
    std::uint64_t requests = 0;  // made
  };
  [[nodiscard]] tally take_tally() noexcept { return std::exchange(done_, {}); }

  [[nodiscard]] ::io_uring& raw() noexcept { return ring_; }

 private:
  // The kernel has completions that it delivers only when asked.
  [[nodiscard]] bool asks_for_us() const noexcept {
    return IO_URING_READ_ONCE(*ring_.sq.kflags) &
           (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
  }

  [[nodiscard]] bool is_due() const noexcept {
    return queued_ > 0 && (queued_ >= flush_ || turns_held_ > most_turns_held);
  }
  void note_hand_over() noexcept;
  void submit() noexcept;
  void look() noexcept;

  static constexpr unsigned most_turns_held = 64;

  ::io_uring ring_{};
  bool is_open_ = false;
  bool is_polled_ = false;  // by a kernel thread
  unsigned flush_ = every_turn;
  unsigned queued_ = 0;              // requests not yet handed over
  mutable unsigned turns_held_ = 0;  // while there were any
  tally done_;
  int doorbell_ = -1;  // eventfd; never read, because each write completes the poll once
};

}  // namespace duel::uring
