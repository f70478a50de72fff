// trace.hpp - the steps of one execution, for people.
//
// Recorded only when an execution that failed is run again. report.hpp prints it.
#pragma once

#include <array>
#include <cstdint>
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

struct step {
  step_kind kind = step_kind::start;
  agent by = 0;
  const void* object = nullptr;
  std::uint64_t before = 0;  // what was read
  std::uint64_t after = 0;   // what was written, by those that write
  bool succeeded = true;     // compare_exchange, try_lock; awake: not by its deadline
  bool is_stale = false;     // not the newest value
  bool is_buffered = false;  // the store waits in its thread's buffer
  bool preempts = false;     // the thread before it could have gone on
  int order = 0;             // of std::memory_order
  std::uint_least32_t line = 0;
  const char* file = "";
  std::string text;               // of a note
  std::array<void*, 16> stack{};  // return addresses, innermost first
};

struct trace {
  std::vector<step> steps;
  // Where each thread stands at the end, innermost first.
  struct standing {
    std::string waits_for;
    std::array<void*, 16> stack{};
  };
  std::vector<standing> threads;
};

}  // namespace duel::explore
