// epoll_floor.cpp - the price of the kernel alone, with epoll: the least a server can do.
//
// One file, no kit code. Each worker is a pinned thread with its own SO_REUSEPORT
// listener and epoll instance; sockets are registered once, edge-triggered. Two system
// calls a request, recv and send, and one epoll_wait a turn: a recv that does not fill
// the buffer has drained the socket. Through syscall(), because recv() and send() are
// cancellation points and pay for it. Any request whose head ends in an empty line gets
// the kit's `GET /` response; bodies are not understood. Its twin: uring_floor.cpp.

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

[[noreturn]] void die(int code, const std::string& what, int error = 0) {
  std::fprintf(stderr, "floor-epoll: %s%s%s\n", what.c_str(), error ? ": " : "",
               error ? std::strerror(error) : "");
  std::_Exit(code);
}

const cpu_set_t cpus = [] {  // that this process may use
  cpu_set_t allowed;
  ::sched_getaffinity(0, sizeof allowed, &allowed);
  return allowed;
}();

struct options {
  std::string listen = "127.0.0.1:8080", stats_file;
  unsigned workers = static_cast<unsigned>(CPU_COUNT(&cpus));
  sockaddr_in where{};
};

options parse(int argc, char** argv) {
  options o;
  CLI::App app(
      "Answers every HTTP request with Hello, World!: the price of the kernel alone.");
  app.add_option("--listen", o.listen, "IPv4 ADDR:PORT; port 0: the kernel chooses")
      ->capture_default_str();
  app.add_option("--workers", o.workers, "pinned threads, each with its own listener")
      ->check(CLI::Range(1u, 1024u))
      ->capture_default_str();
  app.add_option("--stats-file", o.stats_file, "written at the end, as JSON");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    std::exit(app.exit(help));
  } catch (const CLI::ParseError& wrong) {
    die(2, std::string(wrong.what()) + " (--help lists the flags)");
  }
  char address[16];
  unsigned port = 65536;
  int end = 0;
  std::sscanf(o.listen.c_str(), "%15[0-9.]:%5u%n", address, &port, &end);
  o.where.sin_family = AF_INET;
  o.where.sin_port = htons(static_cast<std::uint16_t>(port));
  if (port > 65535 || static_cast<std::size_t>(end) != o.listen.size() ||
      ::inet_pton(AF_INET, address, &o.where.sin_addr) != 1) {
    die(2, "bad --listen '" + o.listen + "' (give an IPv4 ADDR:PORT)");
  }
  return o;
}

int open_listener(const options& o, bool share_port) {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (share_port) ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // connections inherit it
  auto* address = reinterpret_cast<const sockaddr*>(&o.where);
  if (::bind(fd, address, sizeof o.where) == 0 && ::listen(fd, 65535) == 0) return fd;
  die(1, "cannot listen on " + o.listen + " (choose another --listen)", errno);
}

// A run of responses, so that pipelined requests are answered by one send. The same bytes
// as the kit's server sends.
class responses {
 public:
  responses() { refresh(); }
  void refresh() {
    timespec now;
    ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec != shown_) write(now.tv_sec);
  }
  // The next bytes for a client that is owed `owed`; every response has the same length.
  [[nodiscard]] std::string_view next(std::size_t owed) const {
    std::size_t begun = (size_ - owed % size_) % size_;
    return std::string_view(text_).substr(begun, owed);
  }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  void write(time_t now) {
    char one[256], date[32];
    tm utc;
    std::strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", ::gmtime_r(&now, &utc));
    int n = std::snprintf(one, sizeof one,
                          "HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Type: text/plain\r\n"
                          "Content-Length: 13\r\n\r\nHello, World!",
                          date);
    size_ = static_cast<std::size_t>(n);
    text_.resize(64 * size_);
    // In place: a send that waits for room may still read it.
    for (auto at = text_.begin(); at != text_.end(); at += n) std::copy_n(one, n, at);
    shown_ = now;
  }

  std::string text_;
  std::size_t size_ = 0;
  time_t shown_ = 0;
};

// Counts the request heads that end in each part of a stream.
class head_counter {
 public:
  std::size_t count(const char* data, std::size_t size) {
    std::size_t heads = 0, i = 0;
    for (; i < size && i < 3; ++i) heads += push(data[i]);  // an end may be torn
    while (i < size) {
      if (data[i] > '\r') {  // none of the four windows that hold this byte is an end
        i += 4;
      } else {
        heads += std::memcmp(data + i++ - 3, "\r\n\r\n", 4) == 0;
      }
    }
    for (i = size > 3 ? size - 3 : size; i < size; ++i) push(data[i]);
    return heads;
  }

 private:
  bool push(char c) {
    window_ = window_ << 8 | static_cast<unsigned char>(c);
    return window_ == 0x0d0a0d0a;
  }
  std::uint32_t window_ = 0;  // the last four bytes
};

struct alignas(128) worker {
  int listener = -1, stop_event = ::eventfd(0, EFD_CLOEXEC);
  std::uint64_t requests = 0, accepted = 0, served = 0;  // main: after join()
  std::thread thread;
  void run();
};

std::atomic<unsigned> workers_ready{0};

struct connection {
  head_counter heads;
  std::size_t owed = 0;  // response bytes that the kernel has not yet taken
  bool served = false, waits_for_room = false;
};

void watch(int epoll, int operation, int fd, unsigned events) {
  epoll_event event{.events = events, .data = {.fd = fd}};
  if (::epoll_ctl(epoll, operation, fd, &event) < 0) die(1, "epoll_ctl", errno);
}

void worker::run() {
  constexpr unsigned reading = EPOLLIN | EPOLLRDHUP | EPOLLET;
  int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN);
  watch(epoll, EPOLL_CTL_ADD, stop_event, EPOLLIN);
  std::vector<connection> connections;  // by descriptor
  responses answer;
  static thread_local char buffer[16 * 1024];

  auto accept_one = [&] {  // level-triggered: the rest comes with the next turn
    int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED)) return;
    if (fd < 0) die(1, "cannot accept (raise ulimit -n?)", errno);
    ++accepted;
    auto index = static_cast<std::size_t>(fd);
    if (index >= connections.size()) connections.resize(2 * index + 64);
    connections[index] = {};
    watch(epoll, EPOLL_CTL_ADD, fd, reading);
  };
  // False: the connection is broken.
  auto send_owed = [&](int fd, connection& c) {
    while (c.owed > 0) {
      auto bytes = answer.next(c.owed);
      ssize_t sent =
          ::syscall(SYS_sendto, fd, bytes.data(), bytes.size(), MSG_NOSIGNAL, nullptr, 0);
      if (sent < 0 && errno != EAGAIN) return false;
      if (sent > 0) c.owed -= static_cast<std::size_t>(sent);
      if (sent == static_cast<ssize_t>(bytes.size())) continue;
      c.waits_for_room = true;
      watch(epoll, EPOLL_CTL_MOD, fd, EPOLLOUT | EPOLLET);
      return true;
    }
    return true;
  };
  auto serve = [&](int fd, connection& c, unsigned events) {
    if (c.waits_for_room) {
      c.waits_for_room = false;
      if (!send_owed(fd, c)) return false;
      if (!c.waits_for_room) watch(epoll, EPOLL_CTL_MOD, fd, reading);  // says what came
      return true;
    }
    for (;;) {
      ssize_t got =
          ::syscall(SYS_recvfrom, fd, buffer, sizeof buffer, 0, nullptr, nullptr);
      if (got <= 0) return got < 0 && errno == EAGAIN;
      if (std::size_t heads = c.heads.count(buffer, static_cast<std::size_t>(got))) {
        requests += heads;
        served += !std::exchange(c.served, true);
        c.owed += heads * answer.size();
        if (!send_owed(fd, c)) return false;
        if (c.waits_for_room) return true;
      }
      bool drained = static_cast<std::size_t>(got) < sizeof buffer;
      if (drained && !(events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))) return true;
    }
  };

  ++workers_ready;
  workers_ready.notify_one();
  for (;;) {
    epoll_event events[256];
    int n = ::epoll_wait(epoll, events, 256, -1);
    answer.refresh();
    for (int i = 0; i < n; ++i) {
      int fd = events[i].data.fd;
      if (fd == stop_event) return;
      if (fd == listener) {
        accept_one();
      } else if (!serve(fd, connections[static_cast<std::size_t>(fd)],
                        events[i].events)) {
        ::close(fd);
      }
    }
  }
}

void pin_to_nth_cpu(unsigned n) {
  unsigned cpu = 0;
  for (n %= static_cast<unsigned>(CPU_COUNT(&cpus)); !CPU_ISSET(cpu, &cpus) || n-- > 0;)
    ++cpu;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  ::pthread_setaffinity_np(::pthread_self(), sizeof one, &one);
}

}  // namespace

int main(int argc, char** argv) {
  options o = parse(argc, argv);
  FILE* stats = o.stats_file.empty() ? nullptr : std::fopen(o.stats_file.c_str(), "w");
  if (!stats && !o.stats_file.empty()) die(1, "cannot write " + o.stats_file, errno);
  rlimit files;
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  sigset_t stops;
  sigemptyset(&stops);
  sigaddset(&stops, SIGTERM);
  sigaddset(&stops, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &stops, nullptr);

  // SO_REUSEPORT would let a second server join silently: the first socket asks alone.
  int alone = open_listener(o, false);
  socklen_t size = sizeof o.where;
  ::getsockname(alone, reinterpret_cast<sockaddr*>(&o.where), &size);
  ::close(alone);
  std::vector<worker> workers(o.workers);
  for (unsigned i = 0; i < o.workers; ++i) {
    worker& w = workers[i];
    w.listener = open_listener(o, true);
    w.thread = std::thread([&w, i] {
      pin_to_nth_cpu(i);
      w.run();
    });
  }
  for (unsigned n; (n = workers_ready) < o.workers;) workers_ready.wait(n);
  std::printf("listening on %s:%d floor=epoll workers=%u\n",
              ::inet_ntoa(o.where.sin_addr), ntohs(o.where.sin_port), o.workers);
  std::fflush(stdout);

  int signal;
  ::sigwait(&stops, &signal);
  std::uint64_t requests = 0, accepted = 0, served = 0;
  for (worker& w : workers) {
    ::eventfd_write(w.stop_event, 1);
    w.thread.join();
    requests += w.requests, accepted += w.accepted, served += w.served;
  }
  std::printf("requests %lu\n", requests);
  if (!stats) return 0;
  std::fprintf(stats, "{\"requests\":%lu,\"accepted\":%lu,\"served\":%lu}\n", requests,
               accepted, served);
  if (std::fclose(stats) != 0) die(1, "cannot write " + o.stats_file, errno);
}
