// location.hpp - what the explorer knows of one shared object: an atomic's stores, who
// has used it when, and whether it still exists.
//
// Part of the instrumented atomic, mutex and variable themselves, so that finding it
// costs nothing and its life is theirs.
#pragma once

#include <array>
#include <cstdint>

#include "runtimes/explore/clocks.hpp"

namespace duel::explore {

// Life of an object. A freed one is recognised by its pattern, see arena.hpp.
class existence {
 public:
  existence() noexcept = default;
  ~existence() {
    auto* mark = const_cast<volatile std::uint32_t*>(&mark_);
    *mark = dead;
  }
  [[nodiscard]] bool is_live() const noexcept { return mark_ == live; }

 private:
  static constexpr std::uint32_t live = 0xa11fe, dead = 0xdeadbeef;
  std::uint32_t mark_ = live;
};

// Who used an object, for the reduction: two steps on it depend on each other unless both
// only read.
struct usage {
  struct step {
    std::uint16_t stamp = 0;    // of the agent's order clock; 0: never
    std::int32_t decision = 0;  // the last one before it, or -1
  };
  agent_set writers = 0, readers = 0;
  std::array<step, max_agents> writes, reads;
  vector_clock write_order, read_order;
};

// One store to an atomic, in modification order, which is the order of execution.
struct stored {
  std::uint64_t value = 0;
  agent thread = 0;
  std::uint16_t stamp = 0;  // of its happens-before clock; 0: the initial value
  bool is_ordered = false;  // seq_cst
  vector_clock release;     // what an acquire load of it learns
};

struct location {
  static constexpr unsigned history = 4;

  location() noexcept = default;
  location(const location&) = delete;
  location& operator=(const location&) = delete;

  [[nodiscard]] stored& newest() noexcept { return stores[newest_number % history]; }
  [[nodiscard]] stored& number(std::uint32_t n) noexcept { return stores[n % history]; }

  existence life;
  std::uint32_t execution = 0;  // what follows is of this one
  usage used;
  std::uint32_t newest_number = 0;     // stores so far; the initial value is number 0
  std::uint32_t newest_ordered = 0;    // the newest seq_cst one
  std::array<stored, history> stores;  // the last ones
  // The newest store that each thread has read, and its happens-before stamp then: nobody
  // who knows of that may read an older one.
  struct seen {
    std::uint32_t number = 0;
    std::uint16_t stamp = 0;
  };
  std::array<seen, max_threads> reads;
};

// A plain variable: only accesses that happen before each other.
struct plain_location {
  existence life;
  std::uint32_t execution = 0;
  std::uint8_t writer = 0;
  std::uint16_t write_stamp = 0;  // 0: not in this execution
  std::array<std::uint16_t, max_threads> read_stamps{};
};

}  // namespace duel::explore
