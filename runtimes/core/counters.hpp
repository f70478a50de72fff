// counters.hpp - what a worker or shard counts about itself.
//
// Written by one thread with plain loads and stores, read by anybody at any time; each
// value is exact, a set of them is not a snapshot. The threads model shares one set
// between all its threads and says so to the constructor. A build with DUEL_COUNTERS=OFF
// leaves nearly all of them out, to show what they cost.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>
#include <utility>

#include "runtimes/core/config.hpp"

namespace duel {

enum class counter : unsigned {
  // --- connections and requests: counted by the server's code ---
  accepted,         // connections accepted here
  connections,      // connections whose task started here
  closed,           // connections whose task ended here
  connections_max,  // the most that were open here at once; sharded only
  served,           // connections that got at least one response, counted at the first
  requests,         // responses completed here
  turned_away,      // connections that got a 503 because there were too many
  // --- tasks ---
  spawns,           // tasks spawned here
  polls,            // times a task was run for a step
  longest_poll_ns,  // the longest step, give or take 15 others: time_ledger.hpp
  forced_yields,    // steps ended because the budget was spent
  lifo_hits,        // tasks that came from the lifo slot
  inject_pops,      // tasks taken from the shared queue
  overflow,         // tasks that found the own queue full and went to the shared one
  steal_attempts,   // looks into another worker's queue
  steals,           // of these, with success
  stolen,           // tasks that those brought
  // --- sleeping and waking; busy time is what is left of running_ns ---
  parks,         // times it went to sleep
  wake_ups,      // times it woke another worker or shard
  spurious,      // times it was woken and found nothing
  running_ns,    // since its loop began; grows at each park and at its end
  idle_ns,       // asleep
  searching_ns,  // looking for tasks elsewhere, or spinning
  // --- between shards ---
  messages,    // sent to other shards
  received,    // handled
  message_ns,  // from sending to handling, summed over `timed`
  timed,       // messages whose way was timed
  // --- the kernel ---
  driver_calls,  // epoll_wait or io_uring_enter
  events,        // events or completions that they brought
  submitted,     // requests handed to the ring
  again,         // system calls that would have blocked
  count_
};

inline constexpr std::array<std::string_view, std::to_underlying(counter::count_)>
    counter_names{"accepted",    "connections",     "closed",         "connections_max",
                  "served",      "requests",        "turned_away",    "spawns",
                  "polls",       "longest_poll_ns", "forced_yields",  "lifo_hits",
                  "inject_pops", "overflow",        "steal_attempts", "steals",
                  "stolen",      "parks",           "wake_ups",       "spurious",
                  "running_ns",  "idle_ns",         "searching_ns",   "messages",
                  "received",    "message_ns",      "timed",          "driver_calls",
                  "events",      "submitted",       "again"};
static_assert(!counter_names.back().empty());

#if defined(DUEL_NO_COUNTERS)
inline constexpr bool counters_enabled = false;
#else
inline constexpr bool counters_enabled = true;
#endif

// What a benchmark needs to tell whether a server did its work; counted in every build.
constexpr bool is_always_counted(counter c) noexcept {
  return c == counter::accepted || c == counter::connections || c == counter::closed ||
         c == counter::served || c == counter::requests || c == counter::turned_away;
}

class alignas(no_sharing) counters {
 public:
  enum class writers { one, many };
  explicit counters(writers who = writers::one) noexcept : who_(who) {}

  void add(counter c, std::uint64_t n = 1) noexcept {
    if (!counters_enabled && !is_always_counted(c)) return;
    auto& value = values_[std::to_underlying(c)];
    // relaxed: statistics order nothing
    if (who_ == writers::many) {
      value.fetch_add(n, std::memory_order_relaxed);  // relaxed: as above
      return;
    }
    value.store(value.load(std::memory_order_relaxed) + n,  // owner only
                std::memory_order_relaxed);
  }
  // For the values that are a maximum.
  void raise(counter c, std::uint64_t to) noexcept {
    if (!counters_enabled && !is_always_counted(c)) return;
    auto& value = values_[std::to_underlying(c)];
    auto seen = value.load(std::memory_order_relaxed);  // relaxed: as above
    while (seen < to && !value.compare_exchange_weak(
                            seen, to, std::memory_order_relaxed)) {  // relaxed: as above
    }
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
