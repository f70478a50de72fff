// time.hpp - for programs: waiting and working for a length of time.
#pragma once

#include <string_view>

#include "runtimes/core/clock.hpp"
#include "runtimes/core/result.hpp"

namespace duel {

// The task waits; its thread does other work. Error: operation_canceled.
result<void> sleep_until(time_point deadline);
inline result<void> sleep_for(duration d) {
  return sleep_until(clock::now() + d);
}

// The deadline of an I/O operation that may take `d` from now; a kernel tick (1 to 4 ms)
// early at most.
[[nodiscard]] inline time_point deadline_after(duration d) noexcept {
  return coarse_now() + d;
}

// Uses that much CPU time of the calling thread.
void burn_for(duration d) noexcept;

// Blocks the OS thread, as a careless call into a blocking library would.
void block_for(duration d) noexcept;

// The HTTP date (RFC 9110, 5.6.7) of the second that `now` lies in, 29 bytes. `now` is a
// coarse_now() of just before. The view is the calling thread's and good until the
// current task next waits.
[[nodiscard, gnu::noinline]] std::string_view http_date(time_point now) noexcept;

}  // namespace duel
