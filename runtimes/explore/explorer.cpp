#include "runtimes/explore/explorer.hpp"

#include <set>

namespace duel::explore {

namespace {

std::set<std::string_view> outcomes_seen;

using stopwatch = std::chrono::steady_clock;

settings settings_of(const model& m, memory_model memory) {
  settings how = m.how;
  how.memory = memory;
  return how;
}

// Runs one execution and counts it. False: it failed.
bool run_once(const model& m, const settings& how, search& by, verdict& so_far) {
  failure f = world.run(m.body, by, how);
  ++so_far.executions;
  so_far.steps += world.steps();
  if (f == failure::none) return true;
  so_far.kind = f;
  so_far.message = world.message();
  so_far.replay = by.replay_string();
  return false;
}

void check_outcomes(const model& m, verdict& v) {
  for (const char* each : m.outcomes) {
    if (outcomes_seen.contains(each)) continue;
    v.kind = failure::unreached;
    v.message = std::string("no execution reached \"") + each + '"';
  }
}

}  // namespace

void reached(const char* outcome) {
  untracked_scope own;
  outcomes_seen.insert(outcome);
}

verdict explore(const model& m, memory_model memory, const limits& most) {
  auto begin = stopwatch::now();
  auto how = settings_of(m, memory);
  verdict v;
  v.memory = memory;
  outcomes_seen.clear();
  search by;
  bool is_over = false;
  for (unsigned bound = 0; bound <= m.bound && !is_over; ++bound) {
    by.begin_depth_first(bound, most.reduced);
    do {
      if (!run_once(m, how, by, v)) is_over = true;
      if (v.executions >= most.executions) is_over = true;
      if (v.executions % 64 == 0 && stopwatch::now() - begin > most.time) is_over = true;
    } while (!is_over && by.next_execution());
    if (is_over) break;
    v.bound = bound;
    v.is_complete = !by.was_cut();
    if (v.is_complete) break;
  }
  if (v.holds() && (v.is_complete || v.bound == m.bound)) check_outcomes(m, v);
  v.took = stopwatch::now() - begin;
  return v;
}

verdict explore_random(const model& m, memory_model memory, std::uint64_t seed,
                       unsigned depth, const limits& most) {
  auto begin = stopwatch::now();
  auto how = settings_of(m, memory);
  verdict v;
  v.memory = memory;
  search by;
  by.begin_random(seed, depth);
  while (v.executions < most.executions && run_once(m, how, by, v)) {
    if (v.executions % 64 == 0 && stopwatch::now() - begin > most.time) break;
  }
  v.took = stopwatch::now() - begin;
  return v;
}

std::optional<verdict> replay(const model& m, memory_model memory, std::string_view text,
                              trace* into) {
  verdict v;
  v.memory = memory;
  search by;
  if (!by.begin_replay(text)) return std::nullopt;
  world.record_into(into);
  run_once(m, settings_of(m, memory), by, v);
  world.record_into(nullptr);
  v.replay = by.replay_string();
  if (!by.fits()) return std::nullopt;
  return v;
}

const char* name_of(memory_model m) noexcept {
  switch (m) {
    case memory_model::interleaving:
      return "interleaving";
    case memory_model::tso:
      return "tso";
    case memory_model::weak:
      return "weak";
  }
  return "";
}

const char* name_of(failure f) noexcept {
  switch (f) {
    case failure::none:
      return "holds";
    case failure::requirement:
      return "requirement broken";
    case failure::race:
      return "data race";
    case failure::memory:
      return "memory error";
    case failure::leak:
      return "leak";
    case failure::deadlock:
      return "deadlock";
    case failure::livelock:
      return "livelock";
    case failure::exception:
      return "exception";
    case failure::unreached:
      return "outcome not reached";
  }
  return "";
}

}  // namespace duel::explore
