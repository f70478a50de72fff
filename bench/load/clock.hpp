// clock.hpp - nanoseconds of CLOCK_MONOTONIC, the one clock of every number reported, and
// the instants that divide a run.
#pragma once

#include <time.h>

#include <algorithm>
#include <cstdint>
#include <limits>

namespace duel::load {

using ns = std::int64_t;
constexpr ns never = std::numeric_limits<ns>::max();
constexpr ns second = 1'000'000'000;

inline ns read_clock(clockid_t which) {
  timespec t;
  ::clock_gettime(which, &t);
  return t.tv_sec * second + t.tv_nsec;
}
inline ns now() {
  return read_clock(CLOCK_MONOTONIC);
}
inline ns of_seconds(double s) {
  return static_cast<ns>(s * 1e9);
}

// Requests are due from start to end; what is measured lies in [begin, end).
struct window {
  ns start = never, begin = never, middle = never, end = never;

  [[nodiscard]] bool holds(ns at) const { return at >= begin && at < end; }
  [[nodiscard]] std::size_t half(ns at) const { return at >= middle; }
  [[nodiscard]] double seconds_of_half(std::size_t half) const {
    auto length = half ? end - middle : std::min(middle, end) - begin;
    return static_cast<double>(std::max<ns>(length, 0)) / 1e9;
  }
};

}  // namespace duel::load
