// search.hpp - which execution comes next: the decisions of one execution as a path, and
// the ways to vary it.
//
// Stateless model checking by replay: an execution is determined by its decisions (which
// agent takes the next step, which value a load returns), so the path is all the state
// there is. Depth first: change the last decision that has an alternative left, cut the
// path behind it, run again.
//
// Only alternatives that can matter are tried (dynamic partial-order reduction,
// Flanagan and Godefroid 2005): when two steps race, the later one's agent is added to
// the decision before the earlier one. With a bound on preemptions that would lose
// executions, so it is added at the start of the earlier one's block as well (Coons,
// Musuvathi and McKinley 2013).
//
// What costs one of the bound: taking a thread off that could go on, reading a value that
// is not the newest, a timeout before its time, a compare-exchange that fails for no
// reason.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "runtimes/explore/clocks.hpp"

namespace duel::explore {

// What can be decided at one point of an execution.
struct decision {
  agent_set enabled = 0;     // of a schedule decision; 0: a choice of a value
  agent_set backtrack = 0;   // to be tried
  agent_set done = 0;        // tried
  agent_set costly = 0;      // enabled, and one more of the bound
  agent usual = 0;           // what is taken unless there is a reason
  std::uint16_t taken = 0;   // the agent, or the value's number
  std::uint16_t count = 0;   // of values
  bool free = false;         // values cost nothing
  std::uint16_t cost = 0;    // of the bound, before this decision
  std::int32_t block = 0;    // the decision at which the running thread was put on
  std::int32_t came_in = 0;  // the same before this decision
};

enum class strategy { depth_first, random, replay };

class search {
 public:
  // Depth first, with at most `bound` costly decisions in an execution. Not reduced:
  // every alternative is tried, to check the reduction by.
  void begin_depth_first(unsigned bound, bool is_reduced = true);
  // Priorities drawn anew for each execution, changed at `depth - 1` drawn steps (PCT,
  // Burckhardt et al. 2010); store buffers and values are drawn as well.
  void begin_random(std::uint64_t seed, unsigned depth);
  // The usual decisions but for those that `text` names. False: it is no replay string.
  [[nodiscard]] bool begin_replay(std::string_view text);

  void begin_execution();
  // Who takes the next step. `enabled` has at least two agents; `goes_on`: `usual` is the
  // thread that took the last one.
  agent pick(agent_set enabled, agent usual, agent_set costly, bool goes_on);
  // Only one agent could, and it is not the thread that took the last step.
  void note_forced_switch() noexcept { block_ = -1; }
  // One of `count` values; 0 is the usual one.
  unsigned choose(unsigned count, bool is_free);
  // Depth first: the next execution differs. False: all have been tried.
  bool next_execution();

  // The steps behind decision `at` and of agent `later` race.
  void race(std::int32_t at, agent later);
  // The last decision, or -1: whose alternatives a step of now could have been.
  [[nodiscard]] std::int32_t last() const noexcept {
    return static_cast<std::int32_t>(depth_) - 1;
  }
  // True: some alternative was left out only because of the bound.
  [[nodiscard]] bool was_cut() const noexcept { return cut_; }
  [[nodiscard]] unsigned cost() const noexcept { return cost_; }
  // The decisions that were not the usual ones: "17B.42A.50v1".
  [[nodiscard]] std::string replay_string() const;
  // After a replay: the string names a decision that there was not.
  [[nodiscard]] bool fits() const noexcept {
    return !misfit_ && next_change_ == replay_.size();
  }
  void note_length(std::uint64_t steps) noexcept {
    longest_ = steps > longest_ ? steps : longest_;
  }

 private:
  struct change {
    std::uint32_t at;
    std::uint16_t to;
    bool is_value;  // not an agent
  };
  decision& add(const decision& made);
  void want(decision& d, agent a) noexcept;
  agent draw_agent(agent_set enabled);

  strategy how_ = strategy::depth_first;
  unsigned bound_ = 0;
  bool is_reduced_ = true;
  std::vector<decision> path_;
  std::size_t depth_ = 0;  // decisions made in this execution
  unsigned cost_ = 0;
  std::int32_t block_ = 0;
  bool cut_ = false;

  std::mt19937_64 random_;
  unsigned changes_ = 0;
  std::uint64_t longest_ = 64;  // steps of an execution so far
  std::uint64_t step_ = 0;
  std::array<std::uint32_t, max_agents> priority_{};
  std::vector<std::uint64_t> change_at_;
  std::vector<change> replay_;
  std::size_t next_change_ = 0;
  bool misfit_ = false;
};

}  // namespace duel::explore
