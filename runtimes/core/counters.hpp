// counters.hpp - what a worker or shard counts about itself.
//
// Written by one thread with plain loads and stores, read by anybody at any time; each
// value is exact, a set of them is not a snapshot. The threads model shares one set
// between all its threads and says so to the constructor.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>
#include <utility>

#include "runtimes/core/config.hpp"

namespace duel {

enum class counter : unsigned {
  accepted,     // connections accepted here
  connections,  // connections whose task started here
  served,       // connections that got at least one response, counted at the first
  requests,     // responses completed here
  polls,        // times a task was run for a step
  steals,       // tasks taken from another worker
  parks,        // times it went to sleep
  wake_ups,     // times it woke another worker or shard
  spawns,       // tasks spawned here
  count_
};

inline constexpr std::array<std::string_view, std::to_underlying(counter::count_)>
    counter_names{"accepted", "connections", "served",   "requests", "polls",
                  "steals",   "parks",       "wake_ups", "spawns"};

class alignas(no_sharing) counters {
 public:
  enum class writers { one, many };
  explicit counters(writers who = writers::one) noexcept : who_(who) {}

  void add(counter c, std::uint64_t n = 1) noexcept {
    auto& value = values_[std::to_underlying(c)];
    // relaxed: statistics order nothing
    if (who_ == writers::many) {
      value.fetch_add(n, std::memory_order_relaxed);  // relaxed: as above
      return;
    }
    value.store(value.load(std::memory_order_relaxed) + n,  // owner only
                std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t get(counter c) const noexcept {
    return values_[std::to_underlying(c)].load(
        std::memory_order_relaxed);  // relaxed: as above
  }

 private:
  const writers who_;
  std::array<std::atomic<std::uint64_t>, std::to_underlying(counter::count_)> values_{};
};

}  // namespace duel
