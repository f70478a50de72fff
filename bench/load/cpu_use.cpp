#include "bench/load/cpu_use.hpp"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>

namespace duel::load {

namespace {

std::optional<ns> read_wait() {
  std::ifstream file("/proc/thread-self/schedstat");
  ns running = 0, waiting = 0;
  if (file >> running >> waiting) return waiting;
  return std::nullopt;
}

// The kernel's struct sched_attr in its first size. (The C library has it from glibc 2.41
// on, under the same name.)
struct scheduling {
  std::uint32_t size, policy;
  std::uint64_t flags;
  std::int32_t nice;
  std::uint32_t priority;
  std::uint64_t runtime, deadline, period;
};

std::optional<scheduling> read_scheduling() {
  scheduling now{};
  if (::syscall(SYS_sched_getattr, 0, &now, sizeof now, 0) != 0) return std::nullopt;
  return now;
}

}  // namespace

std::optional<ns> ask_for_slice(ns length) {
  auto wanted = read_scheduling();
  if (!wanted || wanted->policy != SCHED_OTHER) return std::nullopt;
  wanted->runtime = static_cast<std::uint64_t>(length);
  if (::syscall(SYS_sched_setattr, 0, &*wanted, 0) != 0) return std::nullopt;
  auto granted = read_scheduling();  // an older kernel takes the call and ignores this
  if (!granted || granted->runtime != wanted->runtime) return std::nullopt;
  return length;
}

void cpu_meter::start() {
  wait_ = read_wait(), cpu_ = read_clock(CLOCK_THREAD_CPUTIME_ID), wall_ = now();
}

cpu_use cpu_meter::read() const {
  if (wall_ == never) return {};
  auto seconds = [](ns from, ns to) { return static_cast<double>(to - from) / 1e9; };
  cpu_use made{.wall_s = seconds(wall_, now()),
               .cpu_s = seconds(cpu_, read_clock(CLOCK_THREAD_CPUTIME_ID)),
               .wait_s = std::nullopt};
  auto wait = read_wait();
  if (wait_ && wait) made.wait_s = seconds(*wait_, *wait);
  return made;
}

}  // namespace duel::load
