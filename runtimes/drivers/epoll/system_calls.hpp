// system_calls.hpp - the calls of the readiness driver: a count, or -errno.
//
// noinline, and errno is read where it is set: a fiber that has moved to another thread
// must not read errno at an address computed before the move (glibc declares it
// constant). Through syscall(), because recv() and send() are cancellation points: two
// locked instructions each, for a pthread_cancel() that nobody calls.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>

namespace duel::epoll {

[[gnu::noinline]] inline std::int64_t call_accept(int fd) noexcept {
  for (;;) {
    int peer = ::accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (peer >= 0) return peer;
    if (errno != EINTR) return -errno;
  }
}

[[gnu::noinline]] inline std::int64_t call_receive(int fd,
                                                   std::span<std::byte> into) noexcept {
  for (;;) {
    auto n = ::syscall(SYS_recvfrom, fd, into.data(), into.size(), 0, nullptr, nullptr);
    if (n >= 0) return n;
    if (errno != EINTR) return -errno;
  }
}

[[gnu::noinline]] inline std::int64_t call_send(
    int fd, std::span<const std::byte> from) noexcept {
  for (;;) {
    auto n =
        ::syscall(SYS_sendto, fd, from.data(), from.size(), MSG_NOSIGNAL, nullptr, 0);
    if (n >= 0) return n;
    if (errno != EINTR) return -errno;
  }
}

inline void set_nonblocking(int fd) noexcept {
  int flags = ::fcntl(fd, F_GETFL);
  if (!(flags & O_NONBLOCK)) ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

}  // namespace duel::epoll
