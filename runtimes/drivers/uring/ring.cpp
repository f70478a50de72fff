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

unsigned setup_flags(task_work work) noexcept {
  constexpr unsigned always =
      IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL;
  switch (work) {
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

int ring::open(task_work work) noexcept {
  ::io_uring_params parameters{};
  parameters.flags = setup_flags(work);
  parameters.cq_entries = completions;
  if (int error = ::io_uring_queue_init_params(requests, &ring_, &parameters);
      error < 0) {
    return -error;
  }
  is_open_ = true;
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
  for (;;) {
    if (auto* sqe = ::io_uring_get_sqe(&ring_)) return *sqe;
    ::io_uring_submit(&ring_);  // takes them all, the wrong ones too (SUBMIT_ALL)
  }
}

void ring::enter(time_point deadline) noexcept {
  if (deadline == at_once) {
    if (::io_uring_sq_ready(&ring_) > 0 || asks_for_us()) {
      ::io_uring_submit_and_get_events(&ring_);
    }
  } else if (deadline == never) {
    ::io_uring_submit_and_wait(&ring_, 1);
  } else {
    auto left = to_timespec(std::max(deadline - clock::now(), duration::zero()));
    __kernel_timespec timeout{.tv_sec = left.tv_sec, .tv_nsec = left.tv_nsec};
    ::io_uring_cqe* first;
    ::io_uring_submit_and_wait_timeout(&ring_, &first, 1, &timeout, nullptr);
  }
}

void ring::interrupt() noexcept {
  std::uint64_t one = 1;
  (void)!::write(doorbell_, &one,
                 sizeof one);  // EAGAIN: 2^64 - 2 rings ago it was never read
}

void ring::watch_doorbell(std::uint64_t user_data) noexcept {
  auto& sqe = next_request();
  ::io_uring_prep_poll_multishot(&sqe, doorbell_, POLLIN);
  sqe.user_data = user_data;
}

}  // namespace duel::uring
