// blocking_scheduler.hpp - what serial and threads share: tasks that own their OS thread
// while they run, so waiting means blocking it.
//
// A model adds run() and spawn(): on which thread a task runs. Everything else is here:
// parking a thread on its task's futex, the list of live tasks, cancellation. Invariant:
// a task is in the live list from spawn() until its body has returned, so stop() reaches
// each one. Next: blocking_scheduler.cpp, interrupt.hpp, then the two models.
#pragma once

#include <memory>

#include "runtimes/core/driver.hpp"
#include "runtimes/core/scheduler.hpp"
#include "runtimes/core/sync.hpp"

namespace duel {

class blocking_scheduler : public scheduler {
 public:
  ~blocking_scheduler() override { await_stops(); }
  void stop(stop_mode mode) override;
  void spawn_at(unsigned, task& t) override { spawn(t); }
  void wake(task& t) noexcept override;
  void cancel(task& t) noexcept override;
  void release(task& t) noexcept override;
  void suspend(task& self, suspend_reason why, publication publish,
               time_point deadline) override;
  void yield(task& self) override;

  [[nodiscard]] unsigned homes() const noexcept override { return 1; }
  [[nodiscard]] driver& io() noexcept override { return *io_; }
  [[nodiscard]] counters& local_counters() noexcept override { return counters_; }
  [[nodiscard]] std::vector<const counters*> all_counters() const override {
    return {&counters_};
  }
  [[nodiscard]] std::size_t live_tasks() const noexcept override;

 protected:
  blocking_scheduler(std::unique_ptr<driver> io, counters::writers who) noexcept
      : scheduler(/*exclusive=*/false), io_(std::move(io)), counters_(who) {}

  void link(task& t);                 // a task that is about to start
  void unlink(task& t) noexcept;      // its body has returned, or it never started
  void run_linked(task& t) noexcept;  // its body, on this thread, and its completion

 private:
  void wait_for_wake(task& self, time_point deadline) noexcept;

  const std::unique_ptr<driver> io_;
  counters counters_;
  mutable sync::mutex mutex_;  // guards what follows
  intrusive_list<task> live_;
  std::size_t live_count_ = 0;
};

}  // namespace duel
