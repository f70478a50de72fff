// execution.hpp - the state of the one execution that is under way; for the explorer's
// own files. What the functions of engine.hpp do is in memory.cpp and waiting.cpp; how
// an execution runs, in execution.cpp.
#pragma once

#include <csetjmp>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "runtimes/core/fiber.hpp"
#include "runtimes/explore/arena.hpp"
#include "runtimes/explore/engine.hpp"
#include "runtimes/explore/search.hpp"
#include "runtimes/explore/trace.hpp"

namespace duel::explore {

struct settings {
  memory_model memory = memory_model::interleaving;
  std::uint32_t most_steps = 20'000;  // of one execution; more is a livelock
  bool weak_failures = false;         // compare_exchange_weak may fail, at a cost
};

// A change of the memory order at one place of the code under exploration.
struct mutation {
  std::string_view file;  // its end is enough
  unsigned line = 0;
  enum class kind { none, relax, load_for_rmw, drop_store } what = kind::none;
};

// A place in the code under exploration that uses an atomic.
struct atomic_site {
  std::string_view file;
  unsigned line;
  step_kind kind;
  std::memory_order order;
  auto operator<=>(const atomic_site&) const = default;
};

// What a thread waits for before its next step.
enum class need : std::uint8_t { nothing, free_lock, end_of_thread, empty_buffer };

inline constexpr unsigned most_buffered = 8;

struct waiting_store {
  location* to;
  stored what;
  vector_clock order;
  site at;
};

struct thread {
  enum class state : std::uint8_t { ready, asleep, ended };
  state is = state::ready;
  need needs = need::nothing;
  bool timed_out = false;
  const location* object = nullptr;  // of the next step, or slept on
  unsigned joins = 0;                // with end_of_thread
  step_kind next = step_kind::start;
  site at;
  time deadline = time::max();
  vector_clock happens;  // happens-before, as C++ defines it
  std::array<waiting_store, most_buffered> buffer;
  unsigned first = 0, buffered = 0;

  std::optional<fiber> context;
  std::move_only_function<void()> body;
  std::array<void*, 4> locals{};  // thread-local variables while it does not run
};

class execution {
 public:
  execution();

  // Runs `body` as thread 0, with decisions from `by`. Returns what went wrong.
  failure run(const std::function<void()>& body, search& by, const settings& how);

  [[nodiscard]] std::string_view message() const noexcept { return message_; }
  [[nodiscard]] site where() const noexcept { return where_; }
  [[nodiscard]] std::uint64_t steps() const noexcept { return steps_; }

  // Thread-local pointers of the code under exploration, kept apart for its threads.
  void keep_apart(std::vector<void**> variables) { locals_ = std::move(variables); }
  void mutate(mutation m) noexcept { mutation_ = m; }
  // Collects every place from which an atomic is used.
  void collect_sites(std::set<atomic_site>* into) noexcept { sites_ = into; }
  // Takes down every step from now on, for trace.hpp.
  void record_into(trace* to) noexcept { trace_ = to; }

  // --- for memory.cpp and waiting.cpp --------------------------------------------------
  [[nodiscard]] bool is_inside() const noexcept { return current_ != nullptr; }
  [[nodiscard]] agent self() const noexcept {
    return static_cast<agent>(current_ - threads_.data());
  }
  [[nodiscard]] thread& me() noexcept { return *current_; }
  [[nodiscard]] thread& at(agent t) noexcept { return threads_[t]; }
  [[nodiscard]] unsigned size() const noexcept { return size_; }
  [[nodiscard]] const settings& how() const noexcept { return how_; }
  [[nodiscard]] search& by() noexcept { return *by_; }
  [[nodiscard]] bool is_tso() const noexcept { return how_.memory == memory_model::tso; }

  // Before a step: lets the search decide who goes. Returns when the caller may.
  void begin_step(step_kind next, const location* object, site where,
                  need needs = need::nothing);
  // A step that the store buffer must be empty for.
  void begin_ordered_step(step_kind next, const location* object, site where) {
    begin_step(next, object, where, is_tso() ? need::empty_buffer : need::nothing);
  }
  void await_turn();
  // The step uses `l`: finds races for the reduction, orders the step behind others.
  enum class use { read, write, lock, unlock };
  void access(location& l, agent by, use as);
  void commit(location& l, const stored& s);
  void flush(agent buffer);
  void check_live(const existence& e);
  // The order that an access has under the mutation, if any.
  [[nodiscard]] std::memory_order effective(std::memory_order order, const site& at,
                                            step_kind kind) {
    if (sites_) {
      untracked_scope own;
      sites_->insert({at.file_name(), at.line(), kind, order});
    }
    return mutation_.what == mutation::kind::relax && is_mutated(at)
               ? std::memory_order_relaxed
               : order;
  }
  [[nodiscard]] bool is_mutated(const site& at, mutation::kind as) const noexcept {
    return mutation_.what == as && is_mutated(at);
  }
  void record(step e);
  void record_allocation(const void* p, std::size_t size);
  void record_free(const void* p);
  // What the failure that follows is about; of a data race, with the other access.
  void record_object(const void* object,
                     std::optional<trace::access> races_with = std::nullopt);
  [[nodiscard]] bool records() const noexcept { return trace_ != nullptr; }

  vector_clock& order_of(agent a) noexcept { return orders_[a]; }
  [[nodiscard]] std::int32_t decided() const noexcept { return decided_; }
  void pass_over_me() noexcept;
  unsigned add_thread(std::move_only_function<void()> body);
  void end(failure kind, std::string_view what, site at) noexcept;
  [[nodiscard]] time clock() const noexcept { return now_; }
  [[nodiscard]] unsigned number() const noexcept { return number_; }
  vector_clock fences;       // what sequentially consistent fences pass on
  location fences_location;  // that they depend on each other
  location time_location;    // read by who looks at the clock, written by a timeout

 private:
  static constexpr agent nobody = max_agents;
  static void enter(void* self) noexcept;
  agent decide();
  bool can_go(const thread& t) const noexcept;
  void switch_to(thread& t);
  void swap_locals(thread& t) noexcept;
  [[nodiscard]] bool is_mutated(const site& at) const noexcept;
  std::string who_waits_for_what() const;
  std::string need_of(const thread& t) const;
  void record_pending();
  void record_failure();
  void record_threads();

  std::array<thread, max_threads> threads_;
  std::array<vector_clock, max_agents> orders_;  // by dependent steps, for the reduction
  std::array<stack, max_threads> stacks_;
  unsigned size_ = 0;          // threads so far
  thread* current_ = nullptr;  // runs; null: the explorer does
  agent last_ = 0;             // the thread that took the last step
  agent next_ = 0;             // the one to run when the current one switches out
  agent_set passed_ = 0;       // have yielded; go again after somebody else's step
  // Of those that have yielded, so that several who spin cannot starve who they wait for
  // (fair stateless model checking, Musuvathi and Qadeer 2008).
  agent_set spinners_ = 0;
  std::array<agent_set, max_threads> behind_{};  // who must take a step before
  std::array<agent_set, max_threads> seen_{};    // who took one since the last yield
  std::int32_t decided_ = -1;  // the decision that led to the current step, or -1
  std::uint64_t steps_ = 0;
  unsigned number_ = 0;  // of executions
  time now_{};
  settings how_;
  search* by_ = nullptr;
  mutation mutation_;
  trace* trace_ = nullptr;
  bool preempts_ = false;  // the next step's thread was put on by a preemption
  std::set<atomic_site>* sites_ = nullptr;
  std::vector<void**> locals_;
  failure failed_ = failure::none;
  std::string message_;
  site where_;
};

extern execution world;

}  // namespace duel::explore
