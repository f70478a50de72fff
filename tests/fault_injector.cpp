// fault_injector.cpp - runs a program of which chosen system calls fail when a test says
// so.
//
//   fault_injector CONTROL POINT... -- PROGRAM [ARGUMENT...]
//
// Becomes PROGRAM, under a seccomp filter that asks a supervisor about every call of the
// named points (fault_rules.hpp). The supervisor is a process beside it that answers
// "go on" or an error, as the rules in the file CONTROL say, and ends with PROGRAM. This
// reaches every call: inlined, by a sanitizer, from any thread. Exit code 126: the kernel
// gives no such filter; 127: no PROGRAM.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tests/fault_ring.hpp"
#include "tests/fault_rules.hpp"

namespace duel::faults {
namespace {

constexpr unsigned register_ring_fds = 20;

// SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, which older headers lack.
constexpr unsigned long wait_killable = 1 << 5;

[[noreturn]] void give_up(const char* what) {
  std::fprintf(stderr, "fault_injector: %s: %s\n", what, std::strerror(errno));
  std::_Exit(126);
}

struct armed_point {
  const point* what;
  rule* how;
};

// --- the supervisor
// ------------------------------------------------------------------------

class supervisor {
 public:
  supervisor(int listener, int pid, std::vector<armed_point> watched)
      : listener_(listener),
        pid_(pid),
        process_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))),
        rings_(process_),
        watched_(std::move(watched)) {}

  void run() {
    for (;;) {
      // Without POLLIN and POLLHUP it was interrupted: our own ring's task work does
      // that, and then the listener may say POLLERR. Who ends here leaves the server with
      // ENOSYS.
      ::pollfd ready{.fd = listener_, .events = POLLIN, .revents = 0};
      (void)::poll(&ready, 1, -1);
      if (ready.revents & POLLHUP) return;  // nobody is under the filter any more
      if (!(ready.revents & POLLIN)) continue;
      ::seccomp_notif asked{};
      if (::ioctl(listener_, SECCOMP_IOCTL_NOTIF_RECV, &asked) < 0) continue;
      ::seccomp_notif_resp answer{};
      answer.id = asked.id;
      decide(asked.data, answer);
      (void)::ioctl(listener_, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    }
  }

 private:
  void decide(const ::seccomp_data& call, ::seccomp_notif_resp& answer) {
    for (auto [what, how] : watched_) {
      if (what->call != call.nr || what->kind == filter::request) continue;
      if (!applies(*what, call) || !is_hit(*how)) continue;
      if (how->error != 0) {
        answer.error = -how->error;
        return;
      }
      if (transfer_less(call, how->cut, answer)) return;
    }
    if (call.nr == SYS_io_uring_enter) change_requests(call);
    // Registered descriptors would hide which ring is entered.
    if (call.nr == SYS_io_uring_register && call.args[1] == register_ring_fds) {
      answer.error = -EINVAL;
      return;
    }
    answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  }

  [[nodiscard]] bool applies(const point& what, const ::seccomp_data& call) const {
    if (what.kind == filter::argument) {
      return (call.args[what.argument] & what.mask) == what.value;
    }
    if (what.kind != filter::file) return true;
    char target[4096];
    auto link =
        "/proc/" + std::to_string(pid_) + "/fd/" + std::to_string(int(call.args[0]));
    auto size = ::readlink(link.c_str(), target, sizeof target);
    return size > 0 &&
           std::string_view(target, static_cast<std::size_t>(size)).ends_with(".tmp");
  }

  static bool is_hit(rule& how) noexcept {
    ++how.calls;
    if (how.hits >= how.times) return false;
    unsigned n = how.seen++;
    if (n < how.skip || (n - how.skip) % how.every != 0) return false;
    ++how.hits;
    return true;
  }

  // Carries out a send or receive of fewer bytes. False: not now, or nothing to cut.
  bool transfer_less(const ::seccomp_data& call, std::size_t most,
                     ::seccomp_notif_resp& answer) {
    if (call.args[2] <= most) return false;
    std::vector<char> bytes(most);
    ::iovec here{bytes.data(), most};
    ::iovec there{reinterpret_cast<void*>(call.args[1]), most};
    int fd = static_cast<int>(::syscall(SYS_pidfd_getfd, process_, call.args[0], 0));
    if (fd < 0) return false;
    ssize_t done = -1;
    if (call.nr == SYS_sendto) {
      if (::process_vm_readv(pid_, &here, 1, &there, 1, 0) ==
          static_cast<ssize_t>(most)) {
        done = ::send(fd, bytes.data(), most, MSG_DONTWAIT | MSG_NOSIGNAL);
      }
    } else {
      done = ::recv(fd, bytes.data(), most, MSG_DONTWAIT);
      here.iov_len = there.iov_len = static_cast<std::size_t>(std::max<ssize_t>(done, 0));
      if (done > 0) (void)::process_vm_writev(pid_, &here, 1, &there, 1, 0);
    }
    ::close(fd);
    if (done < 0) return false;
    answer.val = done;
    return true;
  }

  void change_requests(const ::seccomp_data& call) {
    auto change = [this](::io_uring_sqe& request) {
      for (auto [what, how] : watched_) {
        bool is_meant = what->kind == filter::request && what->value == request.opcode;
        if (!is_meant || !is_hit(*how)) continue;
        return how->error ? fail(request, how->error) : shorten(request, how->cut);
      }
    };
    rings_.for_each_queued(static_cast<int>(call.args[0]),
                           static_cast<unsigned>(call.args[1]), change);
  }

  const int listener_, pid_, process_;
  rings rings_;
  const std::vector<armed_point> watched_;
};

// --- the program to be
// ---------------------------------------------------------------------

// A descriptor to answer at: every call of the watched points asks there.
int install(const std::vector<armed_point>& watched) {
  std::vector<int> calls;
  bool rings = false;
  for (auto [what, how] : watched) {
    calls.push_back(what->call);
    rings = rings || what->kind == filter::request;
  }
  if (rings) calls.push_back(SYS_io_uring_register);
  std::vector<::sock_filter> program{
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)}};
  for (int call : calls) {
    program.push_back(
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, static_cast<std::uint32_t>(call)});
    program.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_USER_NOTIF});
  }
  program.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW});
  ::sock_fprog filter{.len = static_cast<unsigned short>(program.size()),
                      .filter = program.data()};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) give_up("no_new_privs");
  // Killable: a call that the supervisor has heard of waits for its answer. Else what
  // interrupts it (a signal, task work of io_uring) makes it ask once more, and the bytes
  // received for the first question are lost. Kernels without cce436aafc2a (October 2025)
  // do so still if the answer comes before the interrupted thread looks.
  auto fd = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                      SECCOMP_FILTER_FLAG_NEW_LISTENER | wait_killable, &filter);
  if (fd < 0) give_up("no seccomp listener (it takes Linux 5.19)");
  return static_cast<int>(fd);
}

// One descriptor through a socket pair, which hands it to the other process.
struct passing {
  alignas(::cmsghdr) char space[CMSG_SPACE(sizeof(int))]{};
  char byte = 0;
  ::iovec data{&byte, 1};
  ::msghdr message{.msg_name = nullptr,
                   .msg_namelen = 0,
                   .msg_iov = &data,
                   .msg_iovlen = 1,
                   .msg_control = space,
                   .msg_controllen = sizeof space,
                   .msg_flags = 0};

  void send(int through, int fd) {
    auto* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    if (::sendmsg(through, &message, 0) != 1) give_up("the supervisor is gone");
  }
  int receive(int through) {
    if (::recvmsg(through, &message, MSG_CMSG_CLOEXEC) != 1) return -1;
    auto* header = CMSG_FIRSTHDR(&message);
    int fd = -1;
    if (header) std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
  }
};

// In a grandchild, so that PROGRAM has no child that it did not start.
void start_supervisor(int (&ends)[2], int pid, const std::vector<armed_point>& watched) {
  ::pid_t child = ::fork();
  if (child < 0) give_up("fork");
  if (child > 0) return void(::waitpid(child, nullptr, 0));
  ::pid_t own = ::fork();
  if (own == 0) {
    ::setsid();  // no signal of the terminal
    ::prctl(PR_SET_NAME, "fault-injector");
    ::close(ends[0]);  // or the end of the other process would go unseen
    int listener = passing{}.receive(ends[1]);
    ::close_range(0, 2, 0);
    if (listener >= 0) supervisor(listener, pid, watched).run();
  }
  std::_Exit(0);
}

std::vector<armed_point> watch(const char* control, char** first, char** last) {
  std::vector<armed_point> watched;
  int fd = ::open(control, O_RDWR | O_CLOEXEC);
  if (fd < 0) give_up(control);
  void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (page == MAP_FAILED) give_up(control);
  ::close(fd);
  for (char** name = first; name != last; ++name) {
    auto* found = std::ranges::find(points, std::string_view(*name), &point::name);
    if (found == std::end(points)) {
      errno = EINVAL;
      give_up(*name);
    }
    watched.push_back({found, static_cast<rule*>(page) + watched.size()});
  }
  return watched;
}

int start(int argc, char** argv) {
  char** end = argv + argc;
  char** dashes = std::find_if(argv, end, [](auto a) { return !std::strcmp(a, "--"); });
  if (dashes - argv < 3 || end - dashes < 2) {
    std::fprintf(stderr, "usage: fault_injector CONTROL POINT... -- PROGRAM [ARG...]\n");
    return 2;
  }
  auto watched = watch(argv[1], argv + 2, dashes);
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) give_up("pair");
  start_supervisor(ends, ::getpid(), watched);
  // Where only parents may look into a process (yama), this one asks to be looked into.
  (void)::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
  int listener = install(watched);
  passing{}.send(ends[0], listener);
  ::execv(dashes[1], dashes + 1);
  std::perror(dashes[1]);
  return 127;
}

}  // namespace
}  // namespace duel::faults

int main(int argc, char** argv) {
  return duel::faults::start(argc, argv);
}
