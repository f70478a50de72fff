// uring_socket.hpp - a descriptor's record: what the kernel is doing with it, and who
// waits.
//
// Requests carry the record's address and a tag as user_data. Invariant: the record
// outlives every request that names it. A send is awaited by the perform() that submitted
// it, or if its memory was handed over by the next one or close(); a multishot request by
// close(), which cancels it and waits for its last completion.
// So an address in a completion is always that of a living record. Cancellations name no
// record.
//
// Everything belongs to the driver's thread. Each side has one task at most.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "runtimes/core/operation.hpp"
#include "runtimes/core/scheduler.hpp"
#include "runtimes/core/timer.hpp"
#include "runtimes/drivers/uring/buffer_pool.hpp"

namespace duel::uring {

// What a completion is about: the low bits of user_data.
// `none`: what nobody waits for. lost_bell names the driver that was to be woken.
// `readable`: a receive without a buffer of the ring has something to fetch.
enum class tag : std::uint64_t {
  none,
  doorbell,
  lost_bell,
  accept,
  receive,
  readable,
  send,
};
inline constexpr std::uint64_t tag_bits = 7;

// One side of a socket, and the task that waits on it.
struct direction {
  explicit direction(timer_service& deadlines) noexcept
      : deadline(deadlines, &expire, this) {}

  void begin(time_point until) noexcept {
    expired = false;
    if (until == never && !is_timed) return;
    is_timed = until != never;
    deadline.set(until);
  }
  void wake() noexcept {
    if (waiter) waiter->owner.wake(*waiter);
  }
  static void expire(void* self) noexcept {
    auto& side = *static_cast<direction*>(self);
    side.expired = true;
    side.wake();
  }

  task* waiter = nullptr;      // suspended in the driver, or about to run again
  bool is_armed = false;       // the kernel holds a request of this side
  bool is_cancelling = false;  // and has been asked to end it
  bool expired = false;        // the deadline of the operation under way has passed
  bool is_timed = false;       // the timer holds a deadline
  deadline_timer deadline;
};

struct uring_socket final : socket {
  uring_socket(int descriptor, timer_service& deadlines) noexcept
      : socket(descriptor), in(deadlines), out(deadlines) {}

  [[nodiscard]] std::uint64_t user_data(tag t) const noexcept {
    return reinterpret_cast<std::uintptr_t>(this) | static_cast<std::uint64_t>(t);
  }

  direction in;            // receive or accept
  tag in_tag = tag::none;  // what was armed last
  unread_queue unread;     // received, not yet asked for
  bool has_ended = false;  // no more will be received: `end` says why
  int end = 0;             // 0 end of stream, or -errno; delivered after what is unread
  int accept_error = 0;    // -errno, for the next accept()
  std::vector<int> accepted;  // descriptors not yet asked for, from next_accepted on
  std::size_t next_accepted = 0;

  direction out;             // send
  int sent = 0;              // the completed send's result
  buffer_lease handed_over;  // what the send under way sends, if its task has gone on
  std::span<const std::byte> owed;  // of that, what has not yet left
  bool is_borrowed = false;  // zero-copy: the kernel gives the memory back last of all
  bool is_taken = false;     // and has taken the bytes: only that is missing
  int send_error = 0;        // -errno of such a send, for every later one
};

static_assert(alignof(uring_socket) > tag_bits);

}  // namespace duel::uring
