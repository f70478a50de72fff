#include "bench/load/cpu_use.hpp"

#include <fstream>

namespace duel::load {

namespace {

std::optional<ns> read_wait() {
  std::ifstream file("/proc/thread-self/schedstat");
  ns running = 0, waiting = 0;
  if (file >> running >> waiting) return waiting;
  return std::nullopt;
}

}  // namespace

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
