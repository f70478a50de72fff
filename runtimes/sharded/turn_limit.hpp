// turn_limit.hpp - when a turn of a shard is long enough, however many tasks are ready.
//
// What tasks send is handed over at the end of the turn, all in one call. Behind
// handlers that compute, the first answer of a turn would wait for the last. So a turn
// ends between two steps once it has lasted `longest`, a hundred times what the call
// costs. (Seastar's task quota: 500 us.)
//
// A look at the clock costs as much as two switches to a task. So a turn has two, and one
// more for every 16 steps while steps are short, for each step once they are seen to be
// long.
#pragma once

#include <algorithm>

#include "runtimes/core/clock.hpp"

namespace duel::sharded {

class turn_limit {
 public:
  static constexpr duration longest = std::chrono::microseconds(100);

  // A turn of so many steps, more than one.
  void begin(std::size_t steps) noexcept {
    began_ = looked_ = clock::now();
    look_in(std::min<std::size_t>(steps - 1, every_));
  }
  // Between two steps.
  [[nodiscard]] bool is_over() noexcept {
    if (--left_ > 0) return false;
    auto now = clock::now();
    auto fit = longest * steps_ / std::max(now - looked_, duration(1));
    auto more = std::min(2 * every_, most);
    every_ = static_cast<unsigned>(std::clamp<duration::rep>(fit, 1, more));
    looked_ = now;
    look_in(every_);
    return now - began_ >= longest;
  }

 private:
  static constexpr unsigned most = 16;
  void look_in(std::size_t steps) noexcept {
    steps_ = left_ = static_cast<unsigned>(steps);
  }

  time_point began_{}, looked_{};
  unsigned every_ = most;  // steps between two looks
  unsigned steps_ = 0;     // between the last look and the next
  unsigned left_ = 0;      // of these
};

}  // namespace duel::sharded
