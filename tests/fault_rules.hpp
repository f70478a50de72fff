// fault_rules.hpp - what the fault injector can make fail, and how it is told to.
//
// The control file holds one rule for each point named on the command line, in that
// order. The test arms a rule while the server runs, `times` last; the supervisor counts.
#pragma once

#include <linux/io_uring.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <cstdint>
#include <string_view>

namespace duel::faults {

struct rule {
  std::int32_t error;   // errno value, or 0 and:
  std::uint32_t cut;    // at most so many bytes are sent or received
  std::uint32_t skip;   // calls that pass first
  std::uint32_t every;  // then each so many-th is hit
  std::uint32_t times;  // so often in all; 0: the rule is off
  std::uint32_t seen;   // calls since it was armed
  std::uint32_t hits;   // of these, so many were hit
  std::uint32_t calls;  // in all, armed or not
};

enum class filter {
  none,
  argument,  // (argument & mask) == value
  file,      // argument 0 is a descriptor of a file that is not yet in its place (.tmp)
  request,   // in the submission queue of a ring: value is its operation
};

struct point {
  std::string_view name;
  int call;
  filter kind = filter::none;
  unsigned argument = 0;
  std::uint64_t mask = ~std::uint64_t{0}, value = 0;
};

inline constexpr std::uint64_t stack_flags = MAP_STACK | MAP_NORESERVE;
inline constexpr std::uint64_t register_buffer_ring = 22, guard_install = 102;
inline constexpr std::uint64_t ring_buffer_bytes = 16 << 20, op_send_zc = 47;

inline constexpr point points[] = {
    {"mmap.fiber", SYS_mmap, filter::argument, 3, stack_flags, stack_flags},
    {"mmap.thread", SYS_mmap, filter::argument, 3, stack_flags, MAP_STACK},
    {"mmap.buffers", SYS_mmap, filter::argument, 1, ~0ull, ring_buffer_bytes},
    {"madvise.guard", SYS_madvise, filter::argument, 2, ~0ull, guard_install},
    {"epoll_ctl.add", SYS_epoll_ctl, filter::argument, 1, ~0ull, EPOLL_CTL_ADD},
#ifdef SYS_epoll_wait
    {"epoll_wait", SYS_epoll_wait},
#else
    {"epoll_wait", SYS_epoll_pwait},
#endif
    {"eventfd2", SYS_eventfd2},
    {"io_uring_setup", SYS_io_uring_setup},
    {"io_uring_enter", SYS_io_uring_enter},
    {"io_uring_register.buffers", SYS_io_uring_register, filter::argument, 1, ~0ull,
     register_buffer_ring},
    {"ring.accept", SYS_io_uring_enter, filter::request, 0, ~0ull, IORING_OP_ACCEPT},
    {"ring.recv", SYS_io_uring_enter, filter::request, 0, ~0ull, IORING_OP_RECV},
    {"ring.send", SYS_io_uring_enter, filter::request, 0, ~0ull, IORING_OP_SEND},
    {"ring.send_zc", SYS_io_uring_enter, filter::request, 0, ~0ull, op_send_zc},
    {"accept4", SYS_accept4},
    {"sendto", SYS_sendto},
    {"recvfrom", SYS_recvfrom},
    {"socket", SYS_socket},
    {"listen", SYS_listen},
    {"clone3", SYS_clone3},
    {"write.stats", SYS_write, filter::file},
    {"writev.stats", SYS_writev, filter::file},
    {"close.stats", SYS_close, filter::file},
    {"rename", SYS_rename},
};

}  // namespace duel::faults
