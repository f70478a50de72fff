// ticks.hpp - the processor's own time counter: the price of a few instructions, for
// measuring every step of every task.
//
// Constant in rate and the same on all CPUs on every x86-64 and arm64 that servers run
// on; elsewhere it is the monotonic clock. Read for counters only: in a build without
// them it is never read and stands at 0.
#pragma once

#include <cstdint>

#include "runtimes/core/clock.hpp"
#include "runtimes/core/counters.hpp"

namespace duel {

[[nodiscard]] inline std::uint64_t ticks_now() noexcept {
  if (!counters_enabled) return 0;
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  std::uint64_t t;
  asm volatile("mrs %0, cntvct_el0" : "=r"(t));
  return t;
#else
  return static_cast<std::uint64_t>(clock::now().time_since_epoch().count());
#endif
}

// Ticks to nanoseconds, by both clocks' way since it was made: exact after some
// milliseconds.
class tick_scale {
 public:
  [[nodiscard]] std::uint64_t to_ns(std::uint64_t ticks) const noexcept {
    auto passed = ticks_now() - ticks_;
    if (passed == 0) return 0;
    auto ns = std::chrono::nanoseconds(clock::now() - since_).count();
    return static_cast<std::uint64_t>(static_cast<double>(ticks) *
                                      static_cast<double>(ns) /
                                      static_cast<double>(passed));
  }

 private:
  std::uint64_t ticks_ = ticks_now();
  time_point since_ = clock::now();
};

}  // namespace duel
