// uring_driver.cpp - operations as requests and completions.
//
// Receiving and accepting are multishot: armed at the first operation and left armed, so
// that later ones usually find what they want in the socket's record and cost no request.
// Sends are one request each, handed over with the others of the turn.
#include "runtimes/drivers/uring/uring_driver.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "runtimes/core/block_pool.hpp"
#include "runtimes/core/suspend.hpp"
#include "runtimes/drivers/uring/ring.hpp"
#include "runtimes/drivers/uring/uring_socket.hpp"

namespace duel::uring {

namespace {

// Beyond these the multishot request of a socket is ended until its task has caught up: a
// slow reader holds at most 32 buffers, and what the kernel adds before it stops (32
// more).
constexpr unsigned most_unread = 32, most_accepted = 1024;

// lease_buffer()'s blocks are no provided buffers.
constexpr unsigned block_id = ~0u;

class uring_driver final : public polled_driver {
 public:
  uring_driver(timer_service& deadlines, bool multishot_receive) noexcept
      : deadlines_(deadlines), multishot_receive_(multishot_receive) {}

  [[nodiscard]] int open(task_work work) noexcept {
    if (int error = ring_.open(work)) return error;
    if (int error = buffers_.open(ring_.raw())) return error;
    ring_.watch_doorbell(static_cast<std::uint64_t>(tag::doorbell));
    return 0;
  }

  // --- driver --------------------------------------------------------------------------
  result<std::unique_ptr<socket>> adopt(int fd) override;
  void perform(operation& op) override;
  void finish_sends(socket& s) override {
    await_send(static_cast<uring_socket&>(s), *current_task());
  }
  void close(std::unique_ptr<socket> s) noexcept override;
  buffer_lease lease_buffer() override { return {*this, take_block(), block_id}; }
  void give_back(std::span<std::byte> bytes, unsigned id) noexcept override;

  // --- polled_driver -------------------------------------------------------------------
  void poll(time_point deadline) noexcept override {
    ring_.enter(deadline);
    ring_.reap([this](const ::io_uring_cqe& cqe) { complete(cqe); });
  }
  void interrupt() noexcept override { ring_.interrupt(); }
  [[nodiscard]] bool has_work() const noexcept override { return ring_.has_work(); }

 private:
  void accept(uring_socket& s, operation& op, task& self);
  // Inline by force, as suspend() is and for the same reason: they return after a switch.
  [[gnu::always_inline]] inline void receive(uring_socket& s, operation& op, task& self);
  [[gnu::always_inline]] inline void send(uring_socket& s, operation& op, task& self);

  void await_send(uring_socket& s, task& self);
  void arm_accept(uring_socket& s) noexcept;
  void arm_receive(uring_socket& s) noexcept;
  void arm_send(uring_socket& s, std::span<const std::byte> data) noexcept;
  void cancel(uring_socket& s, direction& side, tag what) noexcept;
  [[gnu::always_inline]] static inline void wait(direction& side, task& self,
                                                 suspend_reason why);

  void complete(const ::io_uring_cqe& cqe) noexcept;
  void complete_handed_over(uring_socket& s) noexcept;
  void complete_accept(uring_socket& s, const ::io_uring_cqe& cqe) noexcept;
  void complete_receive(uring_socket& s, const ::io_uring_cqe& cqe) noexcept;

  ring ring_;
  buffer_pool buffers_;                        // after the ring: unregistered first
  intrusive_list<direction> without_buffers_;  // receivers that wait for any buffer
  timer_service& deadlines_;
  const bool multishot_receive_;
};

// An operation that did not wait still counts against the task's turn.
void spend_budget(task& self) {
  if (self.budget == 0 || --self.budget == 0) yield(self);
}

// Why an operation that has nothing yet must end, or 0.
int interruption(const task& self, const direction& side) noexcept {
  if (is_cancelled(self)) return -ECANCELED;
  return side.expired ? -ETIMEDOUT : 0;
}

// --- operations: on the task's stack
// ------------------------------------------------------

result<std::unique_ptr<socket>> uring_driver::adopt(int fd) {
  // io_uring answers EAGAIN for a non-blocking descriptor instead of waiting.
  int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 ||
      ((flags & O_NONBLOCK) && ::fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0)) {
    int error = errno;
    ::close(fd);
    return failure(error);
  }
  std::unique_ptr<socket> s(new (std::nothrow) uring_socket(fd, deadlines_));
  if (s) return s;
  ::close(fd);
  return failure(ENOMEM);
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
  for (;;) {
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
      if (buffers_.replenish()) {
        arm_receive(s);
      } else if (!s.in.is_linked()) {
        without_buffers_.push_back(s.in);  // give_back() wakes us
      }
    }
    wait(s.in, self, suspend_reason::receive);
    if (s.in.is_linked()) s.in.unlink();
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
  for (;;) {
    arm_send(s, op.data);
    if (!op.lease.empty()) {
      s.handed_over = std::move(op.lease);
      op.result = static_cast<std::int64_t>(op.data.size());
      return;
    }
    await_send(s, self);  // the kernel reads the caller's memory until then
    op.result = s.sent;
    if (s.sent != -ECANCELED) return;
    op.result = interruption(self, s.out);
    if (op.result != 0) return;
  }
}

void uring_driver::await_send(uring_socket& s, task& self) {
  while (s.out.is_armed) {
    if (!s.out.is_cancelling && interruption(self, s.out)) cancel(s, s.out, tag::send);
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
    if (!s.out.is_cancelling && (s.out.expired || self.owner.is_cut())) {
      cancel(s, s.out, tag::send);
    }
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
  while (direction* side = without_buffers_.pop_front()) side->wake();
}

// --- requests
// ------------------------------------------------------------------------------

void uring_driver::arm_accept(uring_socket& s) noexcept {
  auto& sqe = ring_.next_request();
  ::io_uring_prep_multishot_accept(&sqe, s.fd, nullptr, nullptr, SOCK_CLOEXEC);
  sqe.user_data = s.user_data(tag::accept);
  s.in_tag = tag::accept;
  s.in.is_armed = true;
  s.in.is_cancelling = false;
}

void uring_driver::arm_receive(uring_socket& s) noexcept {
  auto& sqe = ring_.next_request();
  ::io_uring_prep_recv(&sqe, s.fd, nullptr, 0, 0);
  if (multishot_receive_) sqe.ioprio |= IORING_RECV_MULTISHOT;
  sqe.flags |= IOSQE_BUFFER_SELECT;
  sqe.buf_group = buffer_pool::group;
  sqe.user_data = s.user_data(tag::receive);
  s.in_tag = tag::receive;
  s.in.is_armed = true;
  s.in.is_cancelling = false;
}

void uring_driver::arm_send(uring_socket& s, std::span<const std::byte> data) noexcept {
  auto& sqe = ring_.next_request();
  // MSG_WAITALL: the kernel goes on by itself after a short send.
  ::io_uring_prep_send(&sqe, s.fd, data.data(), data.size(), MSG_NOSIGNAL | MSG_WAITALL);
  sqe.user_data = s.user_data(tag::send);
  s.out.is_armed = true;
  s.out.is_cancelling = false;
}

void uring_driver::cancel(uring_socket& s, direction& side, tag what) noexcept {
  auto& sqe = ring_.next_request();
  ::io_uring_prep_cancel64(&sqe, s.user_data(what), 0);
  sqe.user_data = static_cast<std::uint64_t>(tag::none);
  side.is_cancelling = true;
}

// --- completions: on the shard's stack
// -----------------------------------------------------

void uring_driver::complete(const ::io_uring_cqe& cqe) noexcept {
  auto* s = reinterpret_cast<uring_socket*>(cqe.user_data & ~tag_bits);
  switch (static_cast<tag>(cqe.user_data & tag_bits)) {
    case tag::none:
      break;
    case tag::doorbell:
      if (!(cqe.flags & IORING_CQE_F_MORE)) ring_.watch_doorbell(cqe.user_data);
      break;
    case tag::accept:
      s->in.is_armed = cqe.flags & IORING_CQE_F_MORE;
      complete_accept(*s, cqe);
      s->in.wake();
      break;
    case tag::receive:
      s->in.is_armed = cqe.flags & IORING_CQE_F_MORE;
      complete_receive(*s, cqe);
      s->in.wake();
      break;
    case tag::send:
      s->out.is_armed = false;
      s->sent = cqe.res;
      if (!s->handed_over.empty()) complete_handed_over(*s);
      s->out.wake();
      break;
  }
}

void uring_driver::complete_handed_over(uring_socket& s) noexcept {
  auto owed = static_cast<int>(s.handed_over.bytes().size());
  if (s.sent == -ECANCELED && s.out.expired) {
    s.send_error = -ETIMEDOUT;
  } else if (s.sent != owed) {
    s.send_error = s.sent < 0 ? s.sent : -EPIPE;
  }
  s.handed_over.reset();
}

void uring_driver::complete_accept(uring_socket& s, const ::io_uring_cqe& cqe) noexcept {
  if (cqe.res >= 0) {
    s.accepted.push_back(cqe.res);
    if (s.accepted.size() - s.next_accepted < most_accepted) return;
    if (s.in.is_armed && !s.in.is_cancelling) cancel(s, s.in, tag::accept);
  } else if (cqe.res != -ECANCELED) {  // that was us
    s.accept_error = cqe.res;
  }
}

// A request that ends without end of stream or error (no buffers, cancelled, the kernel's
// own reasons) is armed again by the next receive that finds nothing unread.
void uring_driver::complete_receive(uring_socket& s, const ::io_uring_cqe& cqe) noexcept {
  if (cqe.flags & IORING_CQE_F_BUFFER) {
    unsigned id = cqe.flags >> IORING_CQE_BUFFER_SHIFT;
    buffers_.taken();
    if (cqe.res > 0) {
      s.unread.push(buffers_, id, static_cast<unsigned>(cqe.res));
    } else {
      give_back({}, id);
    }
  }
  if (cqe.res > 0) {
    if (s.unread.size() > most_unread && s.in.is_armed && !s.in.is_cancelling) {
      cancel(s, s.in, tag::receive);
    }
  } else if (cqe.res != -ENOBUFS && cqe.res != -ECANCELED && cqe.res != -EINTR) {
    s.has_ended = true;
    s.end = cqe.res;
  }
}

}  // namespace

result<std::unique_ptr<polled_driver>> make_driver(timer_service& deadlines,
                                                   const options& chosen) {
  auto made = std::make_unique<uring_driver>(deadlines, chosen.multishot_receive);
  if (int error = made->open(chosen.work)) return failure(error);
  return made;
}

}  // namespace duel::uring
