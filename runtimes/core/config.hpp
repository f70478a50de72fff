// config.hpp - the kit's only macros: an assertion and the sanitizer switches.
//
// DUEL_ASSERT states an invariant. It is checked where DUEL_CHECKS is defined (the dev,
// asan and tsan presets) and costs nothing in release builds.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace duel {

#if defined(DUEL_EXPLORE)
// The explorer reports the interleaving that broke it.
void assertion_failed(const char* what, const char* file, int line) noexcept;
#else
[[noreturn, gnu::cold]] inline void assertion_failed(const char* what, const char* file,
                                                     int line) noexcept {
  std::fprintf(stderr, "%s:%d: invariant broken: %s\n", file, line, what);
  std::abort();
}
#endif

#if defined(DUEL_CHECKS)
inline constexpr bool checks_enabled = true;
#else
inline constexpr bool checks_enabled = false;
#endif

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool under_asan = true;
#else
inline constexpr bool under_asan = false;
#endif

#if defined(__SANITIZE_THREAD__)
inline constexpr bool under_tsan = true;
#else
inline constexpr bool under_tsan = false;
#endif

// 64 bytes on every x86-64 and most arm64 parts; two lines, because the adjacent line is
// prefetched with the first.
inline constexpr int no_sharing = 128;

}  // namespace duel

#define DUEL_ASSERT(condition)                                                    \
  do {                                                                            \
    if constexpr (::duel::checks_enabled) {                                       \
      if (!(condition)) ::duel::assertion_failed(#condition, __FILE__, __LINE__); \
    }                                                                             \
  } while (false)
