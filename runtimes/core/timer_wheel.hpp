// timer_wheel.hpp - pending timers in 6 levels of 64 slots, 1 ms apart at the lowest
// level.
//
// Level l covers 64^(l+1) ms; a timer sits in the level of the highest 6-bit group in
// which its tick and the wheel's differ, so insert and remove are O(1) whatever is
// pending, and each timer moves at most five times before it fires. (Varghese and Lauck's
// hierarchical wheel in the shape of Tokio's: 64 slots so that one bitmap word finds the
// next occupied slot.)
//
// A timer never fires early; it fires at most 1 ms late by the wheel. Beyond 2 years it
// is filed at the horizon and filed again there. Not thread-safe: the owning service
// locks.
#pragma once

#include <array>
#include <cstdint>

#include "runtimes/core/timer.hpp"

namespace duel {

class timer_wheel {
 public:
  explicit timer_wheel(time_point start) noexcept : start_(start) {}

  void insert(timer& t, time_point when) noexcept;
  void remove(timer& t) noexcept;  // no effect if `t` is not in the wheel

  // Fires every timer whose time is `now` or earlier.
  void advance(time_point now) noexcept;

  // When advance() next has something to do (a lower bound of the next expiry), or
  // `never`.
  [[nodiscard]] time_point next_event() const noexcept;
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  static constexpr unsigned levels = 6, bits = 6, slots = 1u << bits;
  struct wheel_level {
    std::uint64_t occupied = 0;  // bit s: slot s is not empty
    std::array<intrusive_list<timer>, slots> slot;
  };
  struct position {
    unsigned level, slot;
    std::uint64_t tick;
  };

  std::uint64_t tick_at_or_after(time_point t) const noexcept;
  [[nodiscard]] bool next_slot(position& found) const noexcept;
  void file(timer& t, std::uint64_t tick) noexcept;

  const time_point start_;
  std::uint64_t elapsed_ = 0;  // ticks already handled
  std::size_t size_ = 0;
  std::array<wheel_level, levels> level_;
};

}  // namespace duel
