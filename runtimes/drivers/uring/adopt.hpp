// adopt.hpp - taking over a descriptor: how both drivers of this folder begin a socket's
// record.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <new>

#include "runtimes/core/operation.hpp"
#include "runtimes/core/result.hpp"

namespace duel::uring {

// A blocking descriptor in a Record(fd, more...); closed on failure. Blocking, because
// io_uring answers EAGAIN for a non-blocking one instead of waiting.
template <class Record, class... More>
[[nodiscard]] result<std::unique_ptr<socket>> adopt_blocking(int fd, More&... more) {
  int flags = ::fcntl(fd, F_GETFL);
  bool is_ready = flags >= 0 && (!(flags & O_NONBLOCK) ||
                                 ::fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0);
  int error = is_ready ? ENOMEM : errno;
  std::unique_ptr<socket> s(is_ready ? new (std::nothrow) Record(fd, more...) : nullptr);
  if (s) return s;
  ::close(fd);
  return failure(error);
}

}  // namespace duel::uring
