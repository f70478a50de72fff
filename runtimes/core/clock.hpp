// clock.hpp - the one clock of the kit: CLOCK_MONOTONIC in nanoseconds. Deadlines are
// absolute.
#pragma once

#include <time.h>

#include <chrono>

#include "runtimes/core/sync.hpp"

namespace duel {

using clock = sync::steady_clock;
using time_point = clock::time_point;
using duration = clock::duration;

// The deadline of an operation that may wait for ever.
inline constexpr time_point never = time_point::max();

// The same clock at the kernel's tick (1 to 4 ms late), for a fifth of the price: good
// enough to compute the deadline of an I/O operation.
[[nodiscard]] inline time_point coarse_now() noexcept {
  timespec t;
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
  return time_point(std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec));
}

// `deadline` as the timespec that futex and io_uring take.
[[nodiscard]] inline timespec to_timespec(duration since) noexcept {
  auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(since).count();
  return {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
}

}  // namespace duel
