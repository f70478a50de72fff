// clocks.hpp - vector clocks: what happened before what.
//
// An agent is whatever takes steps: a thread, or the store buffer of one (it decides when
// a store reaches memory). Clock component = how many steps of that agent are known.
#pragma once

#include <array>
#include <cstdint>

namespace duel::explore {

inline constexpr unsigned max_threads = 8, max_agents = 2 * max_threads;

using agent = unsigned;  // below max_threads: thread; from there on: its store buffer
using agent_set = std::uint16_t;
[[nodiscard]] constexpr agent buffer_of(agent thread) noexcept {
  return thread + max_threads;
}
[[nodiscard]] constexpr bool is_buffer(agent a) noexcept {
  return a >= max_threads;
}
[[nodiscard]] constexpr agent thread_of(agent a) noexcept {
  return a % max_threads;
}
[[nodiscard]] constexpr agent_set one(agent a) noexcept {
  return static_cast<agent_set>(1u << a);
}

class vector_clock {
 public:
  void join(const vector_clock& other) noexcept {
    for (unsigned i = 0; i < max_agents; ++i) {
      at_[i] = at_[i] < other.at_[i] ? other.at_[i] : at_[i];
    }
  }
  std::uint16_t tick(agent a) noexcept { return ++at_[a]; }
  [[nodiscard]] std::uint16_t of(agent a) const noexcept { return at_[a]; }
  [[nodiscard]] bool knows(agent a, std::uint16_t stamp) const noexcept {
    return at_[a] >= stamp;
  }

 private:
  alignas(32) std::array<std::uint16_t, max_agents> at_{};
};

}  // namespace duel::explore
