// prefetch.hpp - hints to the processor about memory that is needed soon. None is an
// access.
//
// A thousand connections do not fit in a core's cache, nor their stacks' pages in its
// TLB: a task that resumes finds nothing of its own there unless somebody has asked for
// it before.
#pragma once

#include <cstddef>

namespace duel {

// Starts loading the first `lines` cache lines from `at` on. Any address will do; where
// it misses the TLB the hint may be dropped, and where nothing is mapped it costs a page
// walk each time.
inline void prefetch(const void* at, std::size_t lines) noexcept {
  constexpr std::size_t line_size = 64;
  for (std::size_t i = 0; i < lines; ++i) {
    __builtin_prefetch(static_cast<const std::byte*>(at) + i * line_size);
  }
}

// The page walk of a mapped address; those of several run at the same time. A load that a
// prefetch instruction cannot replace, for it is dropped where it would help. The value
// is not used, so it races with nobody; in assembler, because to the language it would.
inline void touch_page(const void* at) noexcept {
#if defined(__x86_64__)
  unsigned char unused;
  asm volatile("movb %1, %0" : "=r"(unused) : "m"(*static_cast<const char*>(at)));
#elif defined(__aarch64__)
  unsigned unused;
  asm volatile("ldrb %w0, %1" : "=r"(unused) : "Q"(*static_cast<const char*>(at)));
#else
  prefetch(at, 1);
#endif
}

// How many at a time.
inline constexpr std::size_t touch_ahead = 16;

}  // namespace duel
