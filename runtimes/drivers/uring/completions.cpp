// completions.cpp - what the kernel is asked for, and what becomes of its answers. On the
// shard's stack, requests also on their tasks'.
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "runtimes/core/counters.hpp"
#include "runtimes/core/task.hpp"
#include "runtimes/drivers/uring/uring_driver_class.hpp"

namespace duel::uring {

unsigned uring_driver::poll(time_point deadline) noexcept {
  ring_.enter(deadline);
  unsigned found = 0;
  ring_.reap([&](const ::io_uring_cqe& cqe) { found += complete(cqe); });
  auto [calls, requests] = ring_.take_tally();
  book_.add(counter::driver_calls, calls - 1);  // whoever polls has counted one
  book_.add(counter::submitted, requests);
  return found;
}

void uring_driver::interrupt_from(polled_driver& sender) noexcept {
  if (!chosen_.message_doorbell) return interrupt();
  constexpr auto lost = static_cast<std::uint64_t>(tag::lost_bell);
  static_cast<uring_driver&>(sender).ring_.ring_other(
      ring_, static_cast<std::uint64_t>(tag::none),
      reinterpret_cast<std::uintptr_t>(this) | lost);
}

// --- requests
// ------------------------------------------------------------------------------

void uring_driver::arm(uring_socket& s, ::io_uring_sqe& sqe, tag what) noexcept {
  sqe.user_data = s.user_data(what);
  s.in_tag = what;
  s.in.is_armed = true;
  s.in.is_cancelling = false;
}

void uring_driver::arm_accept(uring_socket& s) noexcept {
  auto& sqe = ring_.next_request();
  ::io_uring_prep_multishot_accept(&sqe, s.fd, nullptr, nullptr, SOCK_CLOEXEC);
  arm(s, sqe, tag::accept);
}

void uring_driver::arm_receive(uring_socket& s) noexcept {
  auto& sqe = ring_.next_request();
  ::io_uring_prep_recv(&sqe, s.fd, nullptr, 0, 0);
  if (chosen_.multishot_receive) sqe.ioprio |= IORING_RECV_MULTISHOT;
  sqe.flags |= IOSQE_BUFFER_SELECT;
  sqe.buf_group = buffer_pool::group;
  arm(s, sqe, tag::receive);
}

void uring_driver::arm_readable(uring_socket& s) noexcept {
  auto& sqe = ring_.next_request();
  ::io_uring_prep_poll_add(&sqe, s.fd, POLLIN);
  arm(s, sqe, tag::readable);
}

void uring_driver::arm_send(uring_socket& s, std::span<const std::byte> data,
                            bool borrow) noexcept {
  auto& sqe = ring_.next_request();
  // MSG_WAITALL: the kernel goes on by itself after a short send.
  constexpr int flags = MSG_NOSIGNAL | MSG_WAITALL;
  if (borrow) {
    ::io_uring_prep_send_zc(&sqe, s.fd, data.data(), data.size(), flags, 0);
  } else {
    ::io_uring_prep_send(&sqe, s.fd, data.data(), data.size(), flags);
  }
  sqe.user_data = s.user_data(tag::send);
  s.is_borrowed = borrow;
  s.is_taken = false;
  s.out.is_armed = true;
  s.out.is_cancelling = false;
}

void uring_driver::cancel(uring_socket& s, direction& side, tag what) noexcept {
  auto& sqe = ring_.next_request();
  ::io_uring_prep_cancel64(&sqe, s.user_data(what), 0);
  sqe.user_data = static_cast<std::uint64_t>(tag::none);
  side.is_cancelling = true;
}

// What the kernel has taken it gives up only with the connection.
void uring_driver::end_send(uring_socket& s) noexcept {
  if (!s.is_taken) return cancel(s, s.out, tag::send);
  sockaddr nobody{.sa_family = AF_UNSPEC, .sa_data = {}};
  ::connect(s.fd, &nobody, sizeof nobody);
  s.out.is_cancelling = true;
}

// --- completions: on the shard's stack
// -----------------------------------------------------

// True: of an operation.
bool uring_driver::complete(const ::io_uring_cqe& cqe) noexcept {
  auto named = cqe.user_data & ~tag_bits;
  auto* s = reinterpret_cast<uring_socket*>(named);
  switch (static_cast<tag>(cqe.user_data & tag_bits)) {
    case tag::none:
      return false;
    case tag::doorbell:
      if (!(cqe.flags & IORING_CQE_F_MORE)) ring_.watch_doorbell(cqe.user_data);
      return false;
    case tag::lost_bell:
      reinterpret_cast<uring_driver*>(named)->interrupt();
      return false;
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
    case tag::readable:
      s->in.is_armed = false;
      s->in.wake();
      break;
    case tag::send:
      complete_send(*s, cqe);
      s->out.wake();
      break;
  }
  return true;
}

// Of a zero-copy send there are two: the result, and the notice that its memory is free.
void uring_driver::complete_send(uring_socket& s, const ::io_uring_cqe& cqe) noexcept {
  if (!(cqe.flags & IORING_CQE_F_NOTIF)) s.sent = cqe.res;
  s.is_taken = s.out.is_armed = cqe.flags & IORING_CQE_F_MORE;
  if (s.is_taken) {
    s.out.is_cancelling = false;  // too late; ended in another way from now on
  } else if (!s.handed_over.empty()) {
    complete_handed_over(s);
  }
}

void uring_driver::complete_handed_over(uring_socket& s) noexcept {
  // A kernel that will not pin more memory, or a socket that cannot: it copies instead.
  if (s.is_borrowed &&
      (s.sent == -ENOMEM || s.sent == -ENOBUFS || s.sent == -EOPNOTSUPP)) {
    return arm_send(s, s.owed, false);
  }
  if (s.sent > 0) s.owed = s.owed.subspan(static_cast<std::size_t>(s.sent));
  bool is_interrupted = !s.owed.empty() && (s.sent > 0 || s.sent == -EINTR);
  if (is_interrupted && !s.out.is_cancelling) return arm_send(s, s.owed, s.is_borrowed);
  bool is_lost = s.is_borrowed && s.out.is_cancelling;  // with the connection
  if (!s.owed.empty() || is_lost) {
    s.send_error = s.out.expired ? -ETIMEDOUT : s.sent < 0 ? s.sent : -EPIPE;
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
// own reasons) leaves the bytes in the kernel: the receive under way fetches them, or the
// next one arms another.
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

}  // namespace duel::uring
