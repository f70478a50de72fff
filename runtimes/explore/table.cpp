#include "runtimes/explore/table.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

namespace duel::explore {

std::string grouped(std::uint64_t n) {
  auto text = std::to_string(n);
  for (auto at = static_cast<int>(text.size()) - 3; at > 0; at -= 3) {
    text.insert(static_cast<std::size_t>(at), 1, ',');
  }
  return text;
}

double seconds(std::chrono::nanoseconds t) {
  return std::chrono::duration<double>(t).count();
}

const char* name_of(std::memory_order order) noexcept {
  constexpr const char* names[] = {"relaxed", "consume", "acquire",
                                   "release", "acq_rel", "seq_cst"};
  return names[static_cast<int>(order)];
}

const char* name_of(step_kind k) noexcept {
  constexpr const char* names[] = {
      "start", "load",       "store",       "modify",   "compare_exchange",
      "flush", "fence",      "lock",        "try_lock", "unlock",
      "sleep", "awake",      "wake",        "spawn",    "join",
      "yield", "plain_read", "plain_write", "note",     "end"};
  return names[static_cast<int>(k)];
}

table::table(const std::vector<model>& models) : on_terminal_(::isatty(STDERR_FILENO)) {
  for (const auto& m : models) {
    name_width_ = std::max(name_width_, std::string_view(m.name).size());
    runs_ += static_cast<unsigned>(m.memories.size());
  }
}

void table::show_progress(const model& m, memory_model memory) {
  if (!on_terminal_) return;
  auto left = done_ == 0 ? std::string()
                         : fmt::format(", about {:.0f} s left",
                                       seconds(took_) / done_ * (runs_ - done_));
  fmt::print(stderr, "\r\x1b[Kexploring {}/{}{}: {} {}", done_ + 1, runs_, left, m.name,
             name_of(memory));
  std::fflush(stderr);
}

void table::clear_progress() {
  if (on_terminal_) fmt::print(stderr, "\r\x1b[K");
}

void table::add(const model& m, const verdict& v, bool is_drawn) {
  clear_progress();
  ++done_;
  failed_ += !v.holds();
  executions_ += v.executions;
  steps_ += v.steps;
  took_ += v.took;
  auto bound = is_drawn                       ? "drawn"
               : v.is_complete                ? "all"
               : v.kind == failure::unreached ? fmt::format("bound {}", m.bound)
               : !v.holds() ? fmt::format("found at bound {}", v.bound ? *v.bound + 1 : 0)
               : v.bound    ? fmt::format("bound {}", *v.bound)
                            : "none";
  if (!is_drawn && v.holds() && !v.is_complete && v.bound != m.bound) {
    bound += fmt::format(" of {}, out of time", m.bound);
  }
  fmt::print("{:{}}  {:12}  {:5}  {:>11} executions  {:>13} steps  {:>7.2f} s  {}\n",
             m.name, name_width_, name_of(v.memory), v.holds() ? "holds" : "FAILS",
             grouped(v.executions), grouped(v.steps), seconds(v.took), bound);
  std::fflush(stdout);
}

void table::finish(bool is_drawn) {
  clear_progress();
  fmt::print("{} hold, {} fail: {} executions, {} steps in {:.1f} s, {} steps/s\n",
             done_ - failed_, failed_, grouped(executions_), grouped(steps_),
             seconds(took_),
             grouped(static_cast<std::uint64_t>(static_cast<double>(steps_) /
                                                std::max(seconds(took_), 1e-9))));
  if (is_drawn) {
    fmt::print("\nDrawn executions say nothing about those that were not.\n");
  } else {
    fmt::print("\n{}", statement());
  }
}

void list(const std::vector<model>& models) {
  for (const auto& m : models) {
    std::string memories;
    for (auto each : m.memories) memories += fmt::format(" {}", name_of(each));
    fmt::print("{}\n    {}\n    bound {}:{}\n", m.name, m.summary, m.bound, memories);
  }
}

std::string statement() {
  return fmt::format(
      "The column behind the time is what has been explored completely. all: every "
      "execution that\n"
      "differs. bound N: every one with at most N deviations (a thread is preempted, a "
      "load returns an\n"
      "older store, a deadline comes early); what needs more is not covered.\n"
      "  interleaving  threads take turns step by step, a load returns the newest store\n"
      "  tso           stores weaker than seq_cst wait in a buffer of {}, in order "
      "(x86)\n"
      "  weak          a load may return any of the last {} stores that happens-before "
      "allows (C++)\n"
      "Data races, by happens-before, are found in each. Not covered: load buffering (a "
      "load that sees\n"
      "a store still to come), stores reordered in the interleaving and tso memories "
      "beyond that,\n"
      "fences other than seq_cst, and mixtures of seq_cst and weaker accesses of one "
      "atomic beyond this\n"
      "rule: a seq_cst load returns nothing older than the newest seq_cst store. A "
      "compare-exchange that\n"
      "fails has read the newest store, and a weak one fails without a reason only "
      "where a model asks for it;\n"
      "a wake goes to the first sleeper; who yields lets another one go first. Sizes are "
      "the models'.\n",
      most_buffered, location::history);
}

}  // namespace duel::explore
