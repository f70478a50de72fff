// arena.hpp - the heap of the threads under exploration.
//
// While an execution runs their code, operator new takes from one region that is reset
// for the next execution: addresses repeat, nothing is reused within an execution, and
// every use after a free, double free and leak can be told. Everything else, and the
// explorer itself, uses malloc.
#pragma once

#include <cstddef>
#include <cstdint>

namespace duel::explore {

class arena {
 public:
  struct block;

  void reset() noexcept;
  // True while the code under exploration runs; what it allocates then is its own.
  bool tracks = false;

  [[nodiscard]] void* allocate(std::size_t size, std::size_t alignment) noexcept;
  void free(void* p) noexcept;  // reports a double free
  [[nodiscard]] bool owns(const void* p) const noexcept {
    auto at = reinterpret_cast<std::uintptr_t>(p);
    return at - base_ < used_;
  }
  [[nodiscard]] std::size_t live_blocks() const noexcept { return live_; }
  [[nodiscard]] std::size_t live_bytes() const noexcept;

 private:
  std::uintptr_t base_ = 0;
  std::size_t used_ = 0;
  std::size_t live_ = 0;
};

// What freed memory is filled with: a location there is recognised as dead.
inline constexpr unsigned char freed_byte = 0xdf;

extern constinit arena heap;

// While one lives, allocations are the explorer's.
class untracked_scope {
 public:
  untracked_scope() noexcept : before_(heap.tracks) { heap.tracks = false; }
  ~untracked_scope() { heap.tracks = before_; }
  untracked_scope(const untracked_scope&) = delete;
  untracked_scope& operator=(const untracked_scope&) = delete;

 private:
  bool before_;
};

}  // namespace duel::explore
