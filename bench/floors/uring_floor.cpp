// uring_floor.cpp - the price of the kernel alone, with io_uring: the least a server can
// do.
//
// One file, no kit code. Each worker is a pinned thread with its own SO_REUSEPORT
// listener and ring (SINGLE_ISSUER, DEFER_TASKRUN). Multishot accept and receive into a
// provided-buffer ring; the sends of a turn go out with the one io_uring_enter that waits
// for the next completions. Receiving never waits for a send; a connection has one send
// under way, so that two cannot interleave. Any request whose head ends in an empty line
// gets the kit's `GET /` response; bodies are not understood. Its twin: epoll_floor.cpp.

#include <arpa/inet.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
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
  std::fprintf(stderr, "floor-uring: %s%s%s\n", what.c_str(), error ? ": " : "",
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
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
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
  bool served = false, sending = false, ended = false;
};

// What a completion is for: user_data = descriptor * 8 + kind.
enum kind : std::uint64_t { on_accept, on_receive, on_send, on_stop, on_close };

// Few and small: the ring is first in, first out, and cycles through all of this memory.
constexpr unsigned buffers = 1024, buffer_size = 1024, buffer_group = 0;

class event_loop {
 public:
  explicit event_loop(worker& counts) : my_(counts), memory_(buffers * buffer_size) {
    io_uring_params p{};
    p.flags =
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE;
    p.cq_entries = 8192;
    if (int error = ::io_uring_queue_init_params(2048, &ring_, &p); error < 0) {
      die(1, "no io_uring (needs Linux 6.1 and kernel.io_uring_disabled=0)", -error);
    }
    ::io_uring_register_ring_fd(&ring_);
    pool_ = static_cast<io_uring_buf_ring*>(
        std::aligned_alloc(4096, buffers * sizeof(io_uring_buf)));
    io_uring_buf_reg place{};
    place.ring_addr = reinterpret_cast<std::uint64_t>(pool_);
    place.ring_entries = buffers;
    place.bgid = buffer_group;
    if (int error = ::io_uring_register_buf_ring(&ring_, &place, 0); error < 0) {
      die(1, "no provided-buffer ring (needs Linux 6.1)", -error);
    }
    ::io_uring_buf_ring_init(pool_);
    for (unsigned id = 0; id < buffers; ++id) give_back(id);
  }
  ~event_loop() {
    ::io_uring_queue_exit(&ring_);
    std::free(pool_);
  }

  void run() {
    arm_accept();
    submit_later(my_.stop_event, on_stop, [this](io_uring_sqe* sqe, int fd) {
      ::io_uring_prep_read(sqe, fd, &stop_value_, sizeof stop_value_, 0);
    });
    while (stop_value_ == 0) {
      ::io_uring_submit_and_wait(&ring_, 1);
      answer_.refresh();
      io_uring_cqe* cqe;
      unsigned head, seen = 0;
      io_uring_for_each_cqe(&ring_, head, cqe) {
        complete(*cqe, static_cast<int>(cqe->user_data >> 3));
        ++seen;
      }
      ::io_uring_cq_advance(&ring_, seen);
    }
  }

 private:
  template <class Prepare>
  void submit_later(int fd, kind what, Prepare prepare) {
    io_uring_sqe* sqe;
    while (!(sqe = ::io_uring_get_sqe(&ring_))) ::io_uring_submit(&ring_);
    prepare(sqe, fd);
    sqe->user_data = static_cast<std::uint64_t>(fd) << 3 | what;
  }
  void arm_accept() {
    submit_later(my_.listener, on_accept, [](io_uring_sqe* sqe, int fd) {
      ::io_uring_prep_multishot_accept(sqe, fd, nullptr, nullptr, SOCK_CLOEXEC);
    });
  }
  void arm_receive(int connected) {
    submit_later(connected, on_receive, [](io_uring_sqe* sqe, int fd) {
      ::io_uring_prep_recv_multishot(sqe, fd, nullptr, 0, 0);
      sqe->flags |= IOSQE_BUFFER_SELECT;
      sqe->buf_group = buffer_group;
    });
  }
  void send_owed(int connected, connection& c) {
    c.sending = true;
    submit_later(connected, on_send, [&](io_uring_sqe* sqe, int fd) {
      auto bytes = answer_.next(c.owed);
      ::io_uring_prep_send(sqe, fd, bytes.data(), bytes.size(),
                           MSG_NOSIGNAL | MSG_WAITALL);
    });
  }
  void close_if_over(int connected, const connection& c) {
    if (!c.ended || c.sending) return;
    submit_later(connected, on_close,
                 [](io_uring_sqe* sqe, int fd) { ::io_uring_prep_close(sqe, fd); });
  }
  void give_back(unsigned id) {
    ::io_uring_buf_ring_add(pool_, &memory_[id * buffer_size], buffer_size,
                            static_cast<unsigned short>(id),
                            ::io_uring_buf_ring_mask(buffers), 0);
    ::io_uring_buf_ring_advance(pool_, 1);
  }

  void complete(const io_uring_cqe& cqe, int fd) {
    auto what = cqe.user_data & 7;
    if (what == on_accept) accepted(cqe);
    if (what == on_receive) received(cqe, fd, connections_[static_cast<unsigned>(fd)]);
    if (what == on_send) sent(cqe, fd, connections_[static_cast<unsigned>(fd)]);
  }

  void accepted(const io_uring_cqe& cqe) {
    if (!(cqe.flags & IORING_CQE_F_MORE)) arm_accept();
    if (cqe.res == -ECONNABORTED) return;
    if (cqe.res < 0) die(1, "cannot accept (raise ulimit -n?)", -cqe.res);
    ++my_.accepted;
    auto index = static_cast<std::size_t>(cqe.res);
    if (index >= connections_.size()) connections_.resize(2 * index + 64);
    connections_[index] = {};
    arm_receive(cqe.res);
  }

  void received(const io_uring_cqe& cqe, int fd, connection& c) {
    if (cqe.res <= 0 && cqe.res != -ENOBUFS) {
      c.ended = true;
      return close_if_over(fd, c);
    }
    if (cqe.res > 0) {
      unsigned id = cqe.flags >> IORING_CQE_BUFFER_SHIFT;
      auto heads =
          c.heads.count(&memory_[id * buffer_size], static_cast<unsigned>(cqe.res));
      give_back(id);
      if (heads > 0) {
        my_.requests += heads;
        my_.served += !std::exchange(c.served, true);
        c.owed += heads * answer_.size();
        if (!c.sending) send_owed(fd, c);
      }
    }
    if (!(cqe.flags & IORING_CQE_F_MORE)) arm_receive(fd);
  }

  void sent(const io_uring_cqe& cqe, int fd, connection& c) {
    c.sending = false;
    if (cqe.res < 0) {  // broken: the receive ends too
      c.owed = 0;
      ::shutdown(fd, SHUT_RDWR);
    } else {
      c.owed -= static_cast<std::size_t>(cqe.res);
    }
    if (c.owed > 0) return send_owed(fd, c);
    close_if_over(fd, c);
  }

  worker& my_;
  io_uring ring_;
  io_uring_buf_ring* pool_ = nullptr;
  std::vector<char> memory_;
  std::vector<connection> connections_;  // by descriptor
  responses answer_;
  eventfd_t stop_value_ = 0;
};

void worker::run() {
  event_loop loop(*this);  // a SINGLE_ISSUER ring belongs to the thread that made it
  ++workers_ready;
  workers_ready.notify_one();
  loop.run();
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
  std::printf("listening on %s:%d floor=uring workers=%u\n",
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
