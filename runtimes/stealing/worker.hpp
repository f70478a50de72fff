// worker.hpp - one thread of the stealing scheduler: find a task, run it one step, or
// sleep.
//
// All methods belong to the worker's own thread, except steal_from() and the counters.
#pragma once

#include "runtimes/core/polled_driver.hpp"
#include "runtimes/core/shuffle.hpp"
#include "runtimes/core/step.hpp"
#include "runtimes/core/sync.hpp"
#include "runtimes/core/time_ledger.hpp"
#include "runtimes/stealing/parker.hpp"
#include "runtimes/stealing/run_queue.hpp"

namespace duel::stealing {

class scheduler;

// Every so many tasks the inject queue goes first and the driver is polled; Tokio's and
// Go's number, prime so that it does not beat with anything.
inline constexpr unsigned fairness_interval = sync::size_of(61u, 5u);

class worker {
 public:
  worker(scheduler& shared, unsigned index, stack_pool& stacks);

  // The loop, on this worker's thread; returns when the scheduler has no task left.
  void run();
  // The driver of the tasks that run here. Owned by this worker if it is its own.
  void use(polled_driver& d) noexcept { driver_ = &d; }
  [[nodiscard]] polled_driver& driver() noexcept { return *driver_; }

  // A task that the running one woke or spawned: next in line, in the lifo slot.
  void push_next(task& t);
  // A task that has had its turn: behind all others.
  void push_back(task& t);

  // Any thread, for a worker that has nothing to do.
  [[nodiscard]] run_queue& queue() noexcept { return queue_; }
  [[nodiscard]] bool has_visible_work() const noexcept { return !queue_.empty(); }

  [[nodiscard]] parker& sleeper() noexcept { return sleeper_; }
  // While this worker sleeps it is to look, after a while, whether anybody polls.
  void ask_to_watch() noexcept { watches_.store(true); }
  [[nodiscard]] counters& count() noexcept { return counters_; }
  [[nodiscard]] scheduler& owner() noexcept { return shared_; }
  [[nodiscard]] unsigned index() const noexcept { return index_; }
  // Tasks spawned here minus tasks completed here: the sum over workers is what lives.
  [[nodiscard]] std::int64_t live_delta() const noexcept {
    return live_delta_.load(
        std::memory_order_relaxed);  // relaxed: (W1) orders, see scheduler
  }
  void add_live(std::int64_t n) noexcept {
    live_delta_.store(live_delta() + n, std::memory_order_relaxed);  // owner only
  }
  // Exact when the worker is parked.
  [[nodiscard]] std::size_t cached_stacks() const noexcept { return stacks_.size(); }

 private:
  task* next_task();
  task* next_drawn();
  task* next_local();
  task* next_injected();
  task* steal();
  void run_one(task& t);
  task* spin();
  void maintain();
  void park();
  bool sleep_once();
  void poll(time_point deadline);
  void offer_work();
  void push_to_queue(task& t);

  scheduler& shared_;
  const unsigned index_;
  stack_cache stacks_;
  counters counters_;
  time_ledger ledger_{counters_};
  polled_driver* driver_ = nullptr;
  run_queue queue_;
  parker sleeper_;
  sync::atomic<bool> watches_{false};
  sync::atomic<std::int64_t> live_delta_{0};

  task* lifo_ = nullptr;   // the task woken last; not stealable
  unsigned lifo_run_ = 0;  // tasks taken from it in a row
  unsigned turns_to_fairness_ = fairness_interval;
  bool searching_ = false;   // counted in parking
  bool was_woken_ = false;   // and has not yet run anything
  bool collecting_ = false;  // in the driver: wakes are offered once, afterwards
  task_chain collected_;     // by then, if all workers share one queue
  std::uint32_t random_;     // xorshift state: where stealing starts
  [[no_unique_address]] shuffle order_;
};

}  // namespace duel::stealing
