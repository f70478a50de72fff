// scheduler.hpp - the seam between programs and execution models: who runs a task, and
// where.
//
// One scheduler is one run of one model. Everything a program does reaches it through the
// free functions of runtimes/api, which find it through the current task. Calls marked
// "any thread" may also come from threads that are not the scheduler's.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "runtimes/core/clock.hpp"
#include "runtimes/core/counters.hpp"
#include "runtimes/core/sync.hpp"
#include "runtimes/core/task.hpp"

namespace duel {

class driver;

enum class stop_mode {
  drain,  // cancel every task; those inside a shield_scope finish what they are doing
          // first
  cut,    // cancel those too
};

class scheduler {
 public:
  virtual ~scheduler() = default;
  scheduler() = default;
  scheduler(const scheduler&) = delete;
  scheduler& operator=(const scheduler&) = delete;

  // Runs `main` as the first task and returns when no task is left; rethrows what `main`
  // threw. The calling thread becomes one of the scheduler's. Once per scheduler.
  virtual void run(std::move_only_function<void()> main) = 0;

  // Cancels every task there is and every task spawned from now on; any thread,
  // repeatedly.
  virtual void stop(stop_mode mode) = 0;

  // --- tasks -------------------------------------------------------------------------
  // Makes a new task (one queue entry, see task_state::start) runnable. Called by a
  // running task. Throws std::system_error when the model cannot carry another one.
  virtual void spawn(task& t) = 0;
  // The same at a chosen home, from any task of this scheduler; the task takes no joiner.
  virtual void spawn_at(unsigned home, task& t) = 0;
  // Any thread. The caller's reference keeps `t` alive until wake() returns.
  virtual void wake(task& t) noexcept = 0;
  // Any thread: the task's current and later waits end with operation_canceled.
  virtual void cancel(task& t) noexcept = 0;
  // Any thread: gives one reference back.
  virtual void release(task& t) noexcept = 0;

  // The running task waits. Returns after a wake, at the deadline, or for no reason at
  // all. Called through suspend.hpp, which spares a listed fiber the call.
  virtual void suspend(task& self, suspend_reason why, publication publish,
                       time_point deadline) = 0;
  // Models without fibers: the running task's OS thread lets others go first.
  virtual void yield(task&) {}

  // --- places ------------------------------------------------------------------------
  // The places between which the model never moves a task, numbered from 0: the shards of
  // sharded, one for every other model.
  [[nodiscard]] virtual unsigned homes() const noexcept = 0;
  // True: there is one listener, and whoever accepts a connection asks home_of_next() at
  // which home it is to live. False: each home listens, and keeps what it accepts.
  [[nodiscard]] virtual bool places_connections() const noexcept { return false; }
  [[nodiscard]] virtual unsigned home_of_next() noexcept { return 0; }
  // The driver of the thread that runs the current task.
  [[nodiscard]] virtual driver& io() noexcept = 0;
  // Counters of the thread that runs the current task.
  [[nodiscard]] virtual counters& local_counters() noexcept = 0;

  // --- what it is --------------------------------------------------------------------
  // Every worker's or shard's counters; any thread, while the scheduler lives.
  [[nodiscard]] virtual std::vector<const counters*> all_counters() const = 0;
  // "model=stealing driver=epoll workers=2 ...": every effective choice, for the ready
  // line.
  [[nodiscard]] virtual std::string description() const = 0;
  // Tasks spawned and not yet complete. Exact when nothing runs.
  [[nodiscard]] virtual std::size_t live_tasks() const noexcept = 0;
  // Fiber stacks that belong to tasks. Exact when nothing runs.
  [[nodiscard]] virtual std::size_t stacks_in_use() const noexcept { return 0; }

  [[nodiscard]] bool is_exclusive() const noexcept { return exclusive_; }
  [[nodiscard]] bool is_draining() const noexcept {
    return stopping_.load(std::memory_order_seq_cst) != 0;
  }
  [[nodiscard]] bool is_cut() const noexcept {
    return stopping_.load(std::memory_order_seq_cst) == 2;
  }

 protected:
  explicit scheduler(bool exclusive) noexcept : exclusive_(exclusive) {}
  void note_stop(stop_mode mode) noexcept {
    stopping_.store(mode == stop_mode::cut || is_cut() ? 2 : 1,
                    std::memory_order_seq_cst);
  }

  // A stop() may be what ends run(), and so be under way when its owner destroys the
  // scheduler: the destructor waits for it.
  class stop_scope {
   public:
    explicit stop_scope(scheduler& s) noexcept : stops_(s.stops_) { ++stops_; }
    ~stop_scope() { --stops_; }

   private:
    sync::atomic<int>& stops_;
  };
  void await_stops() const noexcept {
    while (stops_.load() > 0) sync::yield_thread();
  }

 private:
  const bool exclusive_ = false;   // tasks belong to one thread: plain state words
  sync::atomic<int> stops_{0};     // calls of stop() under way
  sync::atomic<int> stopping_{0};  // 0 running, 1 drain, 2 cut
};

}  // namespace duel
