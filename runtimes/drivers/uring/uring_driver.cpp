// uring_driver.cpp - operations as requests and completions.
//
// Receiving and accepting are multishot: armed at the first operation and left armed, so
// that later ones usually find what they want in the socket's record and cost no request.
// Sends are one request each, handed over with the others of the turn, unless a switch
// says otherwise (send_mode).
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "runtimes/core/suspend.hpp"
#include "runtimes/drivers/uring/adopt.hpp"
#include "runtimes/drivers/uring/uring_driver_class.hpp"

namespace duel::uring {

namespace {

// Why an operation that has nothing yet must end, or 0.
int interruption(const task& self, const direction& side) noexcept {
  if (is_cancelled(self)) return -ECANCELED;
  return side.expired ? -ETIMEDOUT : 0;
}

// Not send() and recv(): those are cancellation points, two locked instructions.
std::int64_t try_to_send(int fd, std::span<const std::byte> data) noexcept {
  auto n = ::syscall(SYS_sendto, fd, data.data(), data.size(),
                     MSG_NOSIGNAL | MSG_DONTWAIT, nullptr, 0);
  return n < 0 ? -errno : n;
}
std::int64_t try_to_receive(int fd, std::span<std::byte> into) noexcept {
  auto n = ::syscall(SYS_recvfrom, fd, into.data(), into.size(), MSG_DONTWAIT, nullptr,
                     nullptr);
  return n < 0 ? -errno : n;
}

}  // namespace

// An operation that did not wait still counts against the task's turn.
void uring_driver::spend_budget(task& self) {
  if (self.budget > 0 && --self.budget > 0) return;
  book_.add(counter::forced_yields);
  yield(self);
}

// --- operations: on the task's stack
// ------------------------------------------------------

result<std::unique_ptr<socket>> uring_driver::adopt(int fd) {
  return adopt_blocking<uring_socket>(fd, deadlines_);
}

void uring_driver::perform(operation& op) {
  auto& s = static_cast<uring_socket&>(op.target);
  task& self = *current_task();
  if (is_cancelled(self)) {
    op.result = -ECANCELED;
    return;
  }
  switch (op.kind) {
    case io_kind::accept:
      return accept(s, op, self);
    case io_kind::receive:
      return receive(s, op, self);
    case io_kind::send:
      return send(s, op, self);
  }
}

void uring_driver::receive(uring_socket& s, operation& op, task& self) {
  if (!s.unread.empty()) spend_budget(self);
  s.in.begin(op.deadline);
  for (bool has_waited = false;; has_waited = true) {
    if (!s.unread.empty()) {
      auto [id, size] = s.unread.pop(buffers_);
      op.lease = buffer_lease(*this, buffers_.memory(id).first(size), id);
      op.result = size;
      return;
    }
    if (s.has_ended) {
      op.result = s.end;
      return;
    }
    if (int why = interruption(self, s.in)) {
      op.result = why;
      return;
    }
    if (!s.in.is_armed) {
      // A request that ended without bytes: most likely they found no buffer.
      if (has_waited && receive_directly(s, op)) return;
      if (buffers_.replenish()) {
        arm_receive(s);
      } else {
        arm_readable(s);
      }
    }
    wait(s.in, self, suspend_reason::receive);
  }
}

void uring_driver::accept(uring_socket& s, operation& op, task& self) {
  if (!s.accepted.empty()) spend_budget(self);
  s.in.begin(op.deadline);
  for (;;) {
    if (!s.accepted.empty()) {
      op.result = s.accepted[s.next_accepted++];
      if (s.next_accepted == s.accepted.size() || s.next_accepted == most_accepted) {
        s.accepted.erase(s.accepted.begin(), s.accepted.begin() + s.next_accepted);
        s.next_accepted = 0;
      }
      return;
    }
    if (s.accept_error != 0) {
      op.result = std::exchange(s.accept_error, 0);
      return;
    }
    if (int why = interruption(self, s.in)) {
      op.result = why;
      return;
    }
    if (!s.in.is_armed) arm_accept(s);
    wait(s.in, self, suspend_reason::accept);
  }
}

void uring_driver::send(uring_socket& s, operation& op, task& self) {
  if (s.out.is_armed) await_send(s, self);  // the block that was handed over before
  s.out.begin(op.deadline);
  if (s.send_error != 0) {
    op.result = s.send_error;
    return;
  }
  if (chosen_.send == send_mode::direct && send_directly(s, op))
    return spend_budget(self);
  for (;;) {
    arm_send(s, op.data, chosen_.send == send_mode::zero_copy && !op.lease.empty());
    if (!op.lease.empty()) {
      s.handed_over = std::move(op.lease);
      s.owed = op.data;
      op.result = static_cast<std::int64_t>(op.data.size());
      return;
    }
    await_send(s, self);  // the kernel reads the caller's memory until then
    op.result = s.sent;
    if (s.sent != -ECANCELED && s.sent != -EINTR) return;
    op.result = interruption(self, s.out);
    if (op.result != 0) return;
  }
}

// Into a block instead of a buffer of the ring, which tasks that do not read may hold all
// of; what they hold is no reason for others to wait. The kernel holds no receive of this
// socket and nothing is unread, so the order is kept. False: nothing has come, or a
// signal.
bool uring_driver::receive_directly(uring_socket& s, operation& op) {
  auto block = lease_buffer();
  auto n = try_to_receive(s.fd, block.bytes());
  if (n == -EAGAIN) book_.add(counter::again);
  if (n == -EAGAIN || n == -EINTR) return false;
  if (n > 0) {
    block.trim(static_cast<std::size_t>(n));
    op.lease = std::move(block);
  } else {
    s.has_ended = true;
    s.end = static_cast<int>(n);
  }
  op.result = n;
  return true;
}

// False: it would block, or a signal came first.
bool uring_driver::send_directly(uring_socket& s, operation& op) {
  auto n = try_to_send(s.fd, op.data);
  if (n == -EAGAIN) book_.add(counter::again);
  if (n == -EAGAIN || n == -EINTR) return false;
  op.result = n;
  return true;
}

// What the peer has not yet acknowledged is no reason to hold a task that shall end.
void uring_driver::await_send(uring_socket& s, task& self) {
  while (s.out.is_armed) {
    bool ends = s.is_taken ? s.out.expired || self.owner.is_cut()
                           : interruption(self, s.out) != 0;
    if (!s.out.is_cancelling && ends) end_send(s);
    wait(s.out, self, suspend_reason::send);
  }
}

void uring_driver::wait(direction& side, task& self, suspend_reason why) {
  side.waiter = &self;
  suspend(self, why, {}, never);
  side.waiter = nullptr;
}

void uring_driver::close(std::unique_ptr<socket> closing) noexcept {
  auto& s = static_cast<uring_socket&>(*closing);
  task& self = *current_task();
  // What was handed over is owed to the peer until its deadline, also in a drain.
  while (s.out.is_armed) {
    if (!s.out.is_cancelling && (s.out.expired || self.owner.is_cut())) end_send(s);
    wait(s.out, self, suspend_reason::send);
  }
  // Not ended by a cancellation: the record must stay until the kernel has let go of it.
  while (s.in.is_armed) {
    if (!s.in.is_cancelling) cancel(s, s.in, s.in_tag);
    wait(s.in, self, suspend_reason::event);
  }
  while (!s.unread.empty()) give_back({}, s.unread.pop(buffers_).id);
  for (auto i = s.next_accepted; i < s.accepted.size(); ++i) ::close(s.accepted[i]);
  ::close(s.fd);
}

void uring_driver::give_back(std::span<std::byte> bytes, unsigned id) noexcept {
  if (id == block_id) return give_back_block(bytes.data());
  buffers_.give_back(id);
}

result<std::unique_ptr<polled_driver>> make_driver(timer_service& deadlines,
                                                   counters& book,
                                                   const options& chosen) {
  auto made = std::make_unique<uring_driver>(deadlines, book, chosen);
  if (int error = made->open()) return failure(error);
  return made;
}

}  // namespace duel::uring
