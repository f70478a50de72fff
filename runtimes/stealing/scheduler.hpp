// scheduler.hpp - the stealing model: what its workers share, and what programs see of
// it.
//
// A task runs on any worker; one that is woken goes to the worker that woke it, and idle
// workers take half of a busy one's queue. Reading order: worker.cpp (the loop),
// run_queue.hpp, parking.hpp, timers.hpp. The pairs of atomics stand in DESIGN.md.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtimes/core/pinned_thread.hpp"
#include "runtimes/core/polled_driver.hpp"
#include "runtimes/core/scheduler.hpp"
#include "runtimes/core/start_gate.hpp"
#include "runtimes/core/sync.hpp"
#include "runtimes/stealing/inject_queue.hpp"
#include "runtimes/stealing/parking.hpp"
#include "runtimes/stealing/timers.hpp"
#include "runtimes/stealing/worker.hpp"

namespace duel::stealing {

// Makes the driver that all workers share, or one worker's on that worker's thread; then
// `book` is its own.
using driver_factory = std::function<result<std::unique_ptr<polled_driver>>(
    timer_service& deadlines, counters& book)>;

// Who polls: an idle worker the one driver they share, a thread that does nothing else,
// or each worker a driver of its own.
enum class reactor { shared, thread, per_worker };

struct options {
  unsigned workers = 1;
  std::string driver;              // its name, for description()
  std::string settings;            // every switch, for description(); may be empty
  std::uint32_t steal_most = ~0u;  // tasks at a time, half of a queue at most; 0: none
  bool lifo = true;
  bool global_queue = false;  // all woken tasks into the inject queue
  reactor polls = reactor::shared;
  bool pin = false;  // worker i on the i-th CPU this process may use, modulo
  std::uint16_t budget = default_budget;
  duration spin{};  // looking for work before going to sleep
  driver_factory make_driver;
};

namespace detail {
extern constinit thread_local worker* thread_worker;  // whose thread this is, or null
}

class scheduler final : public duel::scheduler {
 public:
  // Throws std::system_error if the driver cannot be had.
  explicit scheduler(options chosen);
  ~scheduler() override;

  // --- duel::scheduler -----------------------------------------------------------------
  void run(std::move_only_function<void()> main) override;
  void stop(stop_mode mode) override;
  void spawn(task& t) override;
  void spawn_at(unsigned home, task& t) override;
  void wake(task& t) noexcept override;
  void cancel(task& t) noexcept override;
  void release(task& t) noexcept override;
  void suspend(task& self, suspend_reason why, publication publish,
               time_point deadline) override;
  [[nodiscard]] unsigned homes() const noexcept override { return 1; }
  [[nodiscard]] driver& io() noexcept override;
  [[nodiscard]] counters& local_counters() noexcept override;
  [[nodiscard]] std::vector<const counters*> all_counters() const override;
  [[nodiscard]] std::string description() const override;
  [[nodiscard]] std::size_t live_tasks() const noexcept override;
  [[nodiscard]] std::size_t stacks_in_use() const noexcept override;

  // --- for workers ---------------------------------------------------------------------
  [[nodiscard]] unsigned workers() const noexcept { return options_.workers; }
  [[nodiscard]] const options& chosen() const noexcept { return options_; }
  [[nodiscard]] worker& worker_at(unsigned i) noexcept { return *workers_[i]; }
  [[nodiscard]] inject_queue& injected() noexcept { return injected_; }
  [[nodiscard]] parking& idle() noexcept { return idle_; }
  [[nodiscard]] timers& clock_work() noexcept { return timers_; }
  // Whoever holds it polls the shared driver, or keeps the clock where each has his own.
  [[nodiscard]] sync::mutex& turn() noexcept { return turn_; }
  [[nodiscard]] bool is_finished() const noexcept { return finished_.load(); }

  void wake_one() noexcept;          // (P2), and the unpark
  void wake_one_if_work() noexcept;  // (W2)
  // Moves tasks woken during a poll into the inject queue. True: there were any.
  bool collect(task_chain& woken) noexcept;
  // The caller has left the driver with work for itself alone, which may take long: makes
  // one sleeper look after a while whether anybody polls. That one then calls watched().
  void watch() noexcept;
  void watched() noexcept { is_watched_.store(false); }
  // The caller has parked as the last one, at `epoch`: ends the run if no task is left.
  void finish_if_done(std::uint32_t epoch) noexcept;
  // A finished task leaves the live list.
  void forget(task& t) noexcept;

 private:
  void submit(task& t) noexcept;
  void unpark(unsigned i) noexcept;
  void remember(task& self);
  void run_worker(unsigned i, start_gate& together);
  void react();

  const options options_;
  const std::vector<int> cpus_ = allowed_cpus();
  stack_pool stacks_;
  parking idle_;
  inject_queue injected_;
  timers timers_;
  std::unique_ptr<polled_driver> driver_;  // the shared one, if there is one
  // [worker]; made on its thread. Until the end, for a late wake may interrupt one.
  std::vector<std::unique_ptr<polled_driver>> own_;
  sync::mutex turn_;
  sync::atomic<bool> is_watched_{false};  // one sleeper has been asked, see watch()
  std::vector<std::unique_ptr<worker>> workers_;
  counters outside_{counters::writers::many};  // of the reactor's thread and others
  sync::atomic<bool> finished_{false};

  // Suspended tasks, so that stop() finds them; one list per worker, joined at the first
  // wait.
  struct alignas(no_sharing) live_list {
    sync::mutex mutex;
    intrusive_list<task> tasks;
  };
  std::vector<live_list> live_;
};

// The error is one line for the user.
[[nodiscard]] std::expected<std::unique_ptr<duel::scheduler>, std::string> make_scheduler(
    options chosen);

}  // namespace duel::stealing
