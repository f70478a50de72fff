// trace.hpp - the steps of one execution, for people.
//
// Recorded only when an execution that failed is run again. report.hpp prints it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <source_location>
#include <string>
#include <vector>

#include "runtimes/explore/clocks.hpp"

namespace duel::explore {

enum class step_kind : std::uint8_t {
  start,
  load,
  store,
  modify,
  compare_exchange,
  flush,  // a buffered store reaches memory
  fence,
  lock,
  try_lock,
  unlock,
  sleep,  // on a futex
  awake,
  wake,
  spawn,
  join,
  yield,
  plain_read,
  plain_write,
  note,
  end
};

// Return addresses, innermost first; null ends it.
using call_stack = std::array<void*, 24>;

struct step {
  step_kind kind = step_kind::start;
  agent by = 0;
  const void* object = nullptr;
  std::uint64_t before = 0;  // what was read
  std::uint64_t after = 0;   // what was written; of a stale load: the newest value
  bool succeeded = true;     // compare_exchange, try_lock; awake: not by its deadline
  bool is_stale = false;     // not the newest value
  bool is_spurious = false;  // a compare_exchange that failed for no reason
  bool is_buffered = false;  // the store waits in its thread's buffer
  bool preempts = false;     // the thread before it could have gone on
  int order = 0;             // of std::memory_order
  std::uint_least32_t line = 0;
  const char* file = "";
  std::string text;  // of a note
  call_stack stack{};
};

struct trace {
  std::vector<step> steps;
  // Where each thread stands at the end: before its next step, or asleep.
  struct standing {
    std::string waits_for;  // empty: for nothing
    const void* object = nullptr;
    bool has_ended = false;
    call_stack stack{};
  };
  std::vector<standing> threads;

  struct allocation {
    const void* at = nullptr;
    std::size_t size = 0;
    agent by = 0, freed_by = 0;
    bool is_live = true;
    call_stack made{}, freed{};
  };
  std::vector<allocation> allocations;

  agent failed_by = 0;
  call_stack failed_at{};        // empty: not in a call of the failed thread
  const void* object = nullptr;  // of a memory error or a data race
  // The other access of a data race.
  struct access {
    agent by;
    step_kind kind;
  };
  std::optional<access> races_with;
};

}  // namespace duel::explore
