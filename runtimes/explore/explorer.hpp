// explorer.hpp - explores a model: every execution within a bound, bound by bound, so
// that what is found first is the shortest story.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtimes/explore/execution.hpp"

namespace duel::explore {

// A small program over the code under exploration, run again and again. Its body is
// thread 0; everything it uses lives and dies in it.
struct model {
  const char* name;
  const char* summary;  // what is claimed
  std::function<void()> body;
  settings how = {};
  std::vector<memory_model> memories = {memory_model::interleaving, memory_model::tso,
                                        memory_model::weak};
  unsigned bound = 3;  // of costly decisions, see search.hpp
  // Each must be reached() in some execution if all are explored.
  std::vector<const char*> outcomes = {};
};

struct limits {
  std::uint64_t executions = ~0ull;
  std::chrono::milliseconds time = std::chrono::hours(1);
  bool reduced = true;  // false: also executions that differ in nothing, as a check
};

struct verdict {
  failure kind = failure::none;
  std::string message;
  std::string replay;  // of the failed execution
  memory_model memory{};
  std::uint64_t executions = 0, steps = 0;
  std::chrono::nanoseconds took{};
  std::optional<unsigned> bound;  // the last one all of whose executions were run
  bool is_complete = false;       // and no bound would add any
  [[nodiscard]] bool holds() const noexcept { return kind == failure::none; }
};

// Depth first with bounds 0, 1, ... up to the model's, within `most`.
[[nodiscard]] verdict explore(const model& m, memory_model memory,
                              const limits& most = {});
// `most.executions` drawn ones.
[[nodiscard]] verdict explore_random(const model& m, memory_model memory,
                                     std::uint64_t seed, unsigned depth,
                                     const limits& most);
// One execution. `into`, if given, gets its steps. Nothing: the string is no replay,
// or none of this model.
[[nodiscard]] std::optional<verdict> replay(const model& m, memory_model memory,
                                            std::string_view text, trace* into = nullptr);

[[nodiscard]] const char* name_of(memory_model m) noexcept;
[[nodiscard]] const char* name_of(failure f) noexcept;

}  // namespace duel::explore
