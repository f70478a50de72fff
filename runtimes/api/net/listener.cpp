#include "runtimes/api/net/listener.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <vector>

#include "runtimes/api/call.hpp"
#include "runtimes/api/count.hpp"
#include "runtimes/api/task.hpp"
#include "runtimes/api/time.hpp"

namespace duel::net {

namespace {

// Longer than any connection storm of the kit; the kernel cuts it to net.core.somaxconn.
constexpr int backlog = 65535;
// How long accepting rests when descriptors, memory or threads have run out.
constexpr auto exhausted_pause = std::chrono::milliseconds(20);

result<int> open_listener(const listen_options& how, bool share_port) {
  int fd = ::socket(how.where.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return failure(errno);
  int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (share_port) ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  // Accepted sockets inherit these two.
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  auto queued = static_cast<unsigned>(how.queued_bytes);
  if (queued > 0) {
    ::setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &queued, sizeof queued);
  }
  if (::bind(fd, how.where.address(), how.where.size()) == 0 &&
      ::listen(fd, backlog) == 0)
    return fd;
  int error = errno;
  ::close(fd);
  return failure(error);
}

// One listening socket for each home, all at one port.
result<std::vector<int>> open_listeners(listen_options how, unsigned homes) {
  // SO_REUSEPORT would let a second server join silently: the first socket asks alone.
  auto alone = open_listener(how, false);
  if (!alone) return std::unexpected(alone.error());
  if (homes == 1) return std::vector{*alone};
  how.where = endpoint::of_socket(*alone);
  ::close(*alone);
  std::vector<int> fds;
  for (unsigned i = 0; i < homes; ++i) {
    auto fd = open_listener(how, true);
    if (!fd) {
      for (int open : fds) ::close(open);
      return std::unexpected(fd.error());
    }
    fds.push_back(*fd);
  }
  return fds;
}

// What concerns one connection, which is gone: the next may be accepted at once. Anything
// else (descriptors, memory) lasts, and asking again at once would only burn CPU.
bool is_of_one_connection(std::error_code e) {
  return e == std::errc::connection_aborted || e == std::errc::protocol_error ||
         e == std::errc::interrupted || e == std::errc::operation_canceled;
}

// A connection is counted where its task begins and where it ends.
class counted_connection {
 public:
  counted_connection() noexcept {
    scheduler& owner = current_task()->owner;
    counters& here = owner.local_counters();
    here.add(counter::connections);
    // Elsewhere a task may end on another thread, whose counters know nothing of its
    // begin.
    if (owner.is_exclusive()) {
      here.raise(counter::connections_max,
                 here.get(counter::connections) - here.get(counter::closed));
    }
  }
  ~counted_connection() { count(counter::closed); }
  counted_connection(const counted_connection&) = delete;
  counted_connection& operator=(const counted_connection&) = delete;
};

using handler = std::shared_ptr<const std::function<void(stream)>>;

// A connection and its handler on their way to a task, perhaps at another home. One that
// never gets there (no stack, no thread) has ended all the same.
class arrival {
 public:
  arrival(int fd, handler on_connection) noexcept
      : fd_(fd), on_connection_(std::move(on_connection)) {}
  arrival(arrival&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)),
        on_connection_(std::move(other.on_connection_)) {}
  ~arrival() {
    if (fd_ < 0) return;
    counted_connection ended;
    ::close(fd_);
  }
  void operator()() {
    counted_connection here;
    if (auto s = stream::adopt(std::exchange(fd_, -1))) (*on_connection_)(std::move(*s));
  }

 private:
  int fd_;
  handler on_connection_;  // shared, because connections may outlive the accept loop
};

void accept_loop(listener from, handler on_connection) {
  scheduler& owner = current_task()->owner;
  while (!is_cancelled()) {
    auto peer = from.accept_descriptor();
    if (!peer) {
      if (!is_of_one_connection(peer.error())) (void)sleep_for(exhausted_pause);
      continue;
    }
    count(counter::accepted);
    try {
      if (owner.places_connections()) {
        spawn_at(owner.home_of_next(), arrival(*peer, on_connection));
      } else {
        spawn(arrival(*peer, on_connection)).detach();
      }
    } catch (const std::system_error&) {  // no thread for it: the connection is closed
      (void)sleep_for(exhausted_pause);
    }
  }
}

}  // namespace

result<listener> listener::adopt(int fd) {
  auto s = current_task()->owner.io().adopt(fd);
  if (!s) return std::unexpected(s.error());
  return listener(std::move(*s));
}

listener::~listener() {
  if (socket_) current_task()->owner.io().close(std::move(socket_));
}

result<stream> listener::accept() {
  auto fd = accept_descriptor();
  if (!fd) return std::unexpected(fd.error());
  return stream::adopt(*fd);
}

result<int> listener::accept_descriptor() {
  operation op{.kind = io_kind::accept, .target = *socket_, .data = {}};
  current_task()->owner.io().perform(op);
  if (op.result < 0) return failure(static_cast<int>(-op.result));
  return static_cast<int>(op.result);
}

namespace {

// Listens at another home, in a task of its own there.
result<void> serve_at(unsigned home, int fd, const handler& on_connection) {
  bool is_taken = false;
  try {
    return call_at(home, [&]() -> result<void> {
      is_taken = true;
      auto there = listener::adopt(fd);
      if (!there) return std::unexpected(there.error());
      spawn([l = std::move(*there), on_connection]() mutable {
        accept_loop(std::move(l), on_connection);
      }).detach();
      return {};
    });
  } catch (const std::system_error& e) {  // no stack for the call
    if (!is_taken) ::close(fd);
    return std::unexpected(e.code());
  }
}

}  // namespace

result<void> serve(listen_options how, std::function<void(stream)> on_connection,
                   std::function<void(endpoint)> ready) {
  scheduler& owner = current_task()->owner;
  unsigned homes = owner.places_connections() ? 1 : owner.homes();
  auto fds = open_listeners(how, homes);
  if (!fds) return std::unexpected(fds.error());
  endpoint bound = endpoint::of_socket(fds->front());
  handler shared =
      std::make_shared<std::function<void(stream)>>(std::move(on_connection));
  auto here = listener::adopt(fds->front());
  auto opened = here ? result<void>() : std::unexpected(here.error());
  bool others_listen = false;
  for (unsigned home = 1; home < homes; ++home) {
    if (!opened) {
      ::close((*fds)[home]);
    } else {
      opened = serve_at(home, (*fds)[home], shared);
      others_listen = others_listen || opened.has_value();
    }
  }
  if (!opened) {
    if (others_listen) owner.stop(stop_mode::drain);
    return opened;
  }
  ready(bound);
  accept_loop(std::move(*here), shared);
  return {};
}

}  // namespace duel::net
