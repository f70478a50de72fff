// ring.cpp - the system calls of a ring: set-up, submit and wait, and the doorbell.
#include "runtimes/drivers/uring/ring.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

namespace duel::uring {

namespace {

// A turn of more requests than this pays another system call; more completions than that
// wait inside the kernel.
constexpr unsigned requests = 1024, completions = 8192;
// How long the kernel thread of task_work::polled looks before it sleeps.
constexpr unsigned poller_idle_ms = 2;

unsigned setup_flags(task_work work) noexcept {
  constexpr unsigned always =
      IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL;
  switch (work) {
    case task_work::polled:
      return always | IORING_SETUP_SQPOLL;
    case task_work::deferred:
      return always | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
             IORING_SETUP_TASKRUN_FLAG;
    case task_work::cooperative:
      return always | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
    case task_work::interrupting:
      return always;
  }
  return always;
}

// Rings closed so far. A new ring may be mapped where an old one was, by system calls
// that ThreadSanitizer does not see: without this pair it would report the two as a race.
std::atomic<unsigned> rings_closed{0};

}  // namespace

int ring::open(task_work work, unsigned flush) noexcept {
  ::io_uring_params parameters{};
  parameters.flags = setup_flags(work);
  parameters.cq_entries = completions;
  parameters.sq_thread_idle = poller_idle_ms;
  if (int error = ::io_uring_queue_init_params(requests, &ring_, &parameters);
      error < 0) {
    return -error;
  }
  is_open_ = true;
  is_polled_ = work == task_work::polled;
  flush_ = flush;
  (void)rings_closed.load(std::memory_order_acquire);  // (U1) pairs with ~ring
  doorbell_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (doorbell_ < 0) return errno;
  (void)::io_uring_register_ring_fd(
      &ring_);  // spares a look-up in each call; may be refused
  return 0;
}

ring::~ring() {
  if (is_open_) ::io_uring_queue_exit(&ring_);
  rings_closed.fetch_add(1, std::memory_order_release);  // (U1) pairs with open()
  if (doorbell_ >= 0) ::close(doorbell_);
}

::io_uring_sqe& ring::next_request() noexcept {
  if (flush_ != every_turn && queued_ >= flush_) submit();
  for (;;) {
    if (auto* sqe = ::io_uring_get_sqe(&ring_)) {
      ++queued_;
      ++done_.requests;
      return *sqe;
    }
    submit();
    ::io_uring_sqring_wait(&ring_);  // for the kernel thread to take some
  }
}

// What a call that failed (EAGAIN, EBUSY, EINTR) has left is still to be handed over.
void ring::note_hand_over() noexcept {
  queued_ = is_polled_ ? 0 : ::io_uring_sq_ready(&ring_);
  turns_held_ = 0;
}

// Takes them all, the wrong ones too (SUBMIT_ALL).
void ring::submit() noexcept {
  done_.calls +=
      !is_polled_ || (IO_URING_READ_ONCE(*ring_.sq.kflags) & IORING_SQ_NEED_WAKEUP);
  ::io_uring_submit(&ring_);
  note_hand_over();
}

void ring::look() noexcept {
  if (is_due()) {
    if (is_polled_) return submit();  // completes without being asked
    ++done_.calls;
    ::io_uring_submit_and_get_events(&ring_);
    note_hand_over();
  } else if (asks_for_us()) {
    ++done_.calls;
    ::io_uring_get_events(&ring_);
  }
}

void ring::enter(time_point deadline) noexcept {
  if (deadline == at_once) return look();
  ++done_.calls;
  if (deadline == never) {
    ::io_uring_submit_and_wait(&ring_, 1);
  } else {
    auto left = to_timespec(std::max(deadline - clock::now(), duration::zero()));
    __kernel_timespec timeout{.tv_sec = left.tv_sec, .tv_nsec = left.tv_nsec};
    ::io_uring_cqe* first;
    ::io_uring_submit_and_wait_timeout(&ring_, &first, 1, &timeout, nullptr);
  }
  note_hand_over();
}

void ring::interrupt() noexcept {
  std::uint64_t one = 1;
  (void)!::write(doorbell_, &one,
                 sizeof one);  // EAGAIN: 2^64 - 2 rings ago it was never read
}

void ring::ring_other(ring& other, std::uint64_t there, std::uint64_t here) noexcept {
  auto& sqe = next_request();
  ::io_uring_prep_msg_ring(&sqe, other.ring_.ring_fd, 0, there, 0);
  sqe.flags |= IOSQE_CQE_SKIP_SUCCESS;
  sqe.user_data = here;
  submit();
}

void ring::watch_doorbell(std::uint64_t user_data) noexcept {
  auto& sqe = next_request();
  ::io_uring_prep_poll_multishot(&sqe, doorbell_, POLLIN);
  sqe.user_data = user_data;
}

}  // namespace duel::uring
