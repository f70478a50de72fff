#include "runtimes/drivers/blocking/blocking_driver.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "runtimes/core/interrupt.hpp"

namespace duel {

namespace {

constexpr std::size_t block_size = 16 * 1024;
// A task receives into one block and builds its answer in another.
constexpr std::size_t blocks_kept = 2;

// The calling thread's spare blocks, freed when it ends.
class block_cache {
 public:
  [[nodiscard]] std::byte* take() {
    if (size_ == 0) return new std::byte[block_size];
    return kept_[--size_].release();
  }
  void give_back(std::byte* block) noexcept {
    std::unique_ptr<std::byte[]> owned(block);
    if (size_ < blocks_kept) kept_[size_++] = std::move(owned);
  }

 private:
  std::array<std::unique_ptr<std::byte[]>, blocks_kept> kept_;
  std::size_t size_ = 0;
};

thread_local block_cache local_blocks;

// What a socket's time-out option is set to, so that it is not set again for nothing.
// Each direction is used by one task at a time.
class wait_limit {
 public:
  explicit wait_limit(int option) noexcept : option_(option) {}

  // Makes the next call return by `deadline`, or a little before: up to an eighth of what
  // is left, so that "now + constant" fits again and again. The caller goes on with the
  // rest.
  void set(int fd, time_point deadline) noexcept {
    duration want{};  // to the kernel, 0 is for ever
    if (deadline != never) {
      duration left = std::max<duration>(deadline - coarse_now(), shortest);
      if (current_ <= left && current_ >= left - left / 8) return;
      want = std::max<duration>(left - left / 16, shortest);
    }
    if (current_ == want) return;
    auto us = std::chrono::duration_cast<std::chrono::microseconds>(want).count();
    timeval limit{.tv_sec = us / 1'000'000, .tv_usec = us % 1'000'000};
    ::setsockopt(fd, SOL_SOCKET, option_, &limit, sizeof limit);
    current_ = want;
  }

 private:
  static constexpr duration shortest =
      std::chrono::milliseconds(1);  // below the kernel's tick

  const int option_;
  duration current_{-1};  // unknown: an accepted socket inherits its listener's
};

struct blocking_socket final : socket {
  using socket::socket;
  wait_limit in{SO_RCVTIMEO}, out{SO_SNDTIMEO};
};

// Repeats `call` until it succeeds, fails, or may no longer wait. Returns its result or
// -errno.
template <class Call>
std::int64_t call_blocking(const operation& op, blocked_direction direction, Call call) {
  auto& s = static_cast<blocking_socket&>(op.target);
  auto& limit = direction == blocked_direction::in ? s.in : s.out;
  task& self = *current_task();
  for (;;) {
    limit.set(s.fd, op.deadline);
    std::int64_t done;
    int error;
    {
      interruptible_scope scope(self, s.fd, direction);
      if (is_cancelled(self)) return -ECANCELED;
      done = call(s.fd);
      error = errno;
    }
    if (done > 0 || (done == 0 && op.kind == io_kind::accept)) return done;
    if (is_cancelled(self))
      return -ECANCELED;  // whatever a socket that is shut down says
    if (done == 0) return 0;
    if (error == EINTR) continue;
    if (error != EAGAIN) return -error;
    if (clock::now() >= op.deadline) return -ETIMEDOUT;
  }
}

class blocking_driver final : public driver {
 public:
  result<std::unique_ptr<socket>> adopt(int fd) override {
    int flags = ::fcntl(fd, F_GETFL);
    bool failed = flags < 0;
    if (!failed && flags & O_NONBLOCK)
      failed = ::fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0;
    if (failed) {
      int error = errno;
      ::close(fd);
      return failure(error);
    }
    return std::make_unique<blocking_socket>(fd);
  }

  void perform(operation& op) override {
    switch (op.kind) {
      case io_kind::accept:
        return accept(op);
      case io_kind::receive:
        return receive(op);
      case io_kind::send:
        return send(op);
    }
  }

  void close(std::unique_ptr<socket> s) noexcept override { ::close(s->fd); }

  buffer_lease lease_buffer() override {
    return {*this, {local_blocks.take(), block_size}, 0};
  }
  void give_back(std::span<std::byte> bytes, unsigned) noexcept override {
    local_blocks.give_back(bytes.data());
  }

 private:
  static void accept(operation& op) {
    op.result = call_blocking(op, blocked_direction::in, [](int fd) {
      return ::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC);
    });
  }

  void receive(operation& op) {
    op.lease = lease_buffer();
    op.result = call_blocking(op, blocked_direction::in, [&](int fd) {
      return ::recv(fd, op.lease.bytes().data(), op.lease.bytes().size(), 0);
    });
    if (op.result > 0) {
      op.lease.trim(static_cast<std::size_t>(op.result));
    } else {
      op.lease.reset();
    }
  }

  // The first try does not block: it needs no deadline and no watch for cancellation, and
  // the kernel nearly always has room.
  static void send(operation& op) {
    ssize_t sent =
        ::send(op.target.fd, op.data.data(), op.data.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
      op.result = sent;
    } else if (errno != EAGAIN && errno != EINTR) {
      op.result = -errno;
    } else {
      op.result = call_blocking(op, blocked_direction::out, [&](int fd) {
        return ::send(fd, op.data.data(), op.data.size(), MSG_NOSIGNAL);
      });
    }
  }
};

}  // namespace

std::unique_ptr<driver> make_blocking_driver() {
  return std::make_unique<blocking_driver>();
}

}  // namespace duel
