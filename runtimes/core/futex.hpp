// futex.hpp - how an OS thread sleeps: Linux's futex on one 32-bit word.
//
// Wait returns when the word no longer holds `expected`, when woken, at the deadline, or
// for no reason: the caller loops. The wake is ordered by the word, which the waker
// writes first.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "runtimes/core/clock.hpp"
#include "runtimes/core/sync.hpp"

namespace duel {

#if defined(DUEL_EXPLORE)

using explore::futex_wait, explore::futex_wake_one;

#else

inline void futex_wait(sync::atomic<std::uint32_t>& word, std::uint32_t expected,
                       time_point deadline = never) noexcept {
  timespec until = to_timespec(deadline.time_since_epoch());
  // The BITSET form takes an absolute CLOCK_MONOTONIC time.
  ::syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, expected,
            deadline == never ? nullptr : &until, nullptr, FUTEX_BITSET_MATCH_ANY);
}

inline void futex_wake_one(sync::atomic<std::uint32_t>& word) noexcept {
  ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

#endif

}  // namespace duel
