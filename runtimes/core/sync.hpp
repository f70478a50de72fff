// sync.hpp - every primitive through which threads of the kit meet: the one place that
// says what an atomic is.
//
// Shipped, these names are the standard library's. In the explorer's build
// (DUEL_EXPLORE, runtimes/explore) they are instrumented, so that it runs *these*
// sources, not copies of them, through every interleaving. Code in core, stealing and
// sharded, the readiness of the epoll driver, and what tasks meet through in api take
// their atomics, locks, threads and checked plain data from here. Counters and the
// io_uring drivers do not.
#pragma once

#include <atomic>

#if defined(DUEL_EXPLORE)
#include "runtimes/explore/sync.hpp"
#else
#include <sched.h>

#include <barrier>
#include <chrono>
#include <mutex>
#include <thread>
#endif

namespace duel::sync {

#if defined(DUEL_EXPLORE)

using explore::atomic, explore::barrier, explore::jthread, explore::mutex;
using explore::yield_thread;
using steady_clock = explore::steady_clock;
template <class T>
using plain = explore::var<T>;
inline constexpr bool exploring = true;

#else

using std::atomic, std::barrier, std::jthread, std::mutex;
using std::chrono::steady_clock;
// Data without synchronisation of its own: only one thread may use it at a time, which
// the explorer checks.
template <class T>
using plain = T;
inline void yield_thread() noexcept {
  ::sched_yield();
}
inline constexpr bool exploring = false;

#endif

// A size as shipped, and the smaller one at which its edges come within the explorer's
// reach.
template <class T>
[[nodiscard]] constexpr T size_of(T shipped, T explored) noexcept {
  return exploring ? explored : shipped;
}

}  // namespace duel::sync
