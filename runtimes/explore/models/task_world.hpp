// task_world.hpp - the smallest scheduler that runs tasks as shipped, for models of them.
//
// Each task has a slot of its own, which holds its queue entry or none; any thread of the
// model may take the entry and run a step (run_step, as both fiber models do). What it
// does on wake, cancel, release and stop is what the stealing scheduler does. A second
// entry of the same task, and whatever is left at the end, fails the execution.
#pragma once

#include <bit>
#include <mutex>

#include "runtimes/core/join_handle.hpp"
#include "runtimes/explore/explorer.hpp"
#include "runtimes/explore/sync.hpp"

namespace duel::models {

using explore::any_of;
using explore::reached;
using explore::require;

// What happened to one task, counted by those who did it; that they are ordered is
// checked.
struct tally {
  using count = sync::plain<int>;
  count runs{0};     // steps
  count made{0};     // results
  count dropped{0};  // of them; moving one is neither
  count drops{0};    // calls of drop_result()
  count freed{0};
};

// A result, counted.
class token {
 public:
  explicit token(tally& of) noexcept {
    of_ = &of;  // a write, which construction is not
    of.made = of.made + 1;
  }
  token(token&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
  token& operator=(token&&) = delete;
  ~token() {
    if (of_) of_->dropped = of_->dropped + 1;
  }

 private:
  sync::plain<tally*> of_;
};

// A task that tells its tally.
class counted_task final : public detail::result_task<token> {
 public:
  using body_fn = std::move_only_function<void()>;
  counted_task(scheduler& on, tally& into, body_fn body)
      : result_task(on, on.is_exclusive()), tally_(into), body_(std::move(body)) {}
  ~counted_task() override {
    require(tally_.drops == 1, "the result is dropped once");
    require(!join_cell, "the join waker is dropped by who it belongs to");
    tally_.freed = tally_.freed + 1;
  }

  void run_body() noexcept override {
    try {
      body_();
      value_.emplace(tally_);
    } catch (...) {
      error_ = std::current_exception();
    }
    body_ = nullptr;
  }
  void fail(std::exception_ptr why) noexcept override { error_ = std::move(why); }
  void drop_result() noexcept override {
    tally_.drops = tally_.drops + 1;
    result_task::drop_result();
  }

 private:
  tally& tally_;
  body_fn body_;
};

class task_world final : public scheduler {
 public:
  static constexpr unsigned most_tasks = 6;

  task_world() : scheduler(false) {}
  ~task_world() override {
    await_stops();
    stops_seen_ = 0;  // ordered after all that a stop did
    while (cache_.size() > 0) (void)cache_.take();
    require(std::popcount(ready_.load() >> ended) == static_cast<int>(size_),
            "every task has ended");
  }

  // --- for models ----------------------------------------------------------------------
  // A task in slot 0, 1, ... in the order of spawn(). Its handle is the caller's to make.
  counted_task& start(tally& into, counted_task::body_fn body) {
    auto* t = new counted_task(*this, into, std::move(body));
    spawn(*t);
    return *t;
  }
  // Takes the entry of `slot`, if there is one, and runs a step.
  bool run_one(unsigned slot) {
    // acquire: of push(), and release: as all changes of this word
    if (!(ready_.fetch_and(~entry_of(slot), std::memory_order_acq_rel) & entry_of(slot)))
      return false;
    step(slot);
    return true;
  }
  // Runs `slot` until its task has ended, asleep while there is nothing to do.
  void run_to_end(unsigned slot) {
    for (;;) {
      // acquire: of the note that the task has ended
      auto seen = ready_.load(std::memory_order_acquire);
      if (seen & end_of(slot)) return;
      if (seen & entry_of(slot)) {
        run_one(slot);
      } else {
        explore::futex_wait(ready_.where(), seen, never, {});
      }
    }
  }
  [[nodiscard]] bool has_ended(unsigned slot) const {
    // acquire: of the note that the task has ended
    return ready_.load(std::memory_order_acquire) & end_of(slot);
  }

  // --- duel::scheduler -----------------------------------------------------------------
  void run(std::move_only_function<void()>) override {}
  void stop(stop_mode mode) override {
    stop_scope under_way(*this);
    note_stop(mode);
    std::lock_guard lock(mutex_);
    live_.for_each([this](task& t) { wake(t); });
    stops_seen_ = 1;
  }
  void spawn(task& t) override {
    t.home = size_;
    slots_[t.home] = &t;
    size_ = t.home + 1;
    cache_.give_back(memory_[t.home]);
    {
      std::lock_guard lock(mutex_);
      t.is_listed = true;
      live_.push_back(t);
    }
    push(t);
  }
  void spawn_at(unsigned, task& t) override { spawn(t); }
  void wake(task& t) noexcept override {
    if (t.state.wake() == wake_action::enqueue) push(t);
  }
  void cancel(task& t) noexcept override {
    if (t.state.cancel() == wake_action::enqueue) push(t);
  }
  void release(task& t) noexcept override {
    if (t.state.drop_reference() == drop_action::free_task) delete &t;
  }
  void suspend(task& self, suspend_reason why, publication publish, time_point) override {
    switch_out_to_wait(self, why, publish);
  }
  unsigned homes() const noexcept override { return 1; }
  driver& io() noexcept override { std::abort(); }
  counters& local_counters() noexcept override { std::abort(); }
  std::vector<const counters*> all_counters() const override { return {}; }
  std::string description() const override { return "explored"; }
  std::size_t live_tasks() const noexcept override { return 0; }

 private:
  static constexpr unsigned ended = 16;  // ready_: entries below, ended tasks from here
  static std::uint32_t entry_of(unsigned slot) { return 1u << slot; }
  static std::uint32_t end_of(unsigned slot) { return 1u << (slot + ended); }

  void note(std::uint32_t bit, const char* once) noexcept {
    // release: to run_one() and run_to_end()
    auto seen = ready_.fetch_or(bit, std::memory_order_acq_rel);
    require(!(seen & bit), once);
    explore::futex_wake(ready_.where(), ~0u, {});
  }
  void push(task& t) noexcept { note(entry_of(t.home), "a task is in a queue once"); }
  void step(unsigned slot) {
    task& t = *slots_[slot];
    switch (run_step(t, cache_, default_budget)) {
      case step_end::finished: {
        std::lock_guard lock(mutex_);
        t.unlink();
      }
        release(t);
        return note(end_of(slot), "a task ends once");
      case step_end::queued:
        return push(t);
      case step_end::waiting:
        return;
    }
  }

  // Outside of the explored heap: mapping them anew takes longer than an execution.
  static inline std::byte bytes_[most_tasks][64 * 1024];
  static inline const std::array<stack, most_tasks> memory_ = [] {
    std::array<stack, most_tasks> all;
    for (unsigned i = 0; i < most_tasks; ++i) all[i] = bytes_[i];
    return all;
  }();

  sync::atomic<std::uint32_t> ready_{0};
  std::array<sync::plain<task*>, most_tasks> slots_;  // whoever has the entry
  sync::plain<unsigned> size_{0};  // spawned; by one thread or in an order
  stack_pool pool_;
  stack_cache cache_{pool_};
  sync::mutex mutex_;  // guards what follows
  intrusive_list<task> live_;
  sync::plain<int> stops_seen_{0};
};

}  // namespace duel::models
