// worlds.hpp - what models of whole schedulers share: schedulers with two workers or
// shards on drivers that the model plays, and an event that a task waits for.
#pragma once

#include <mutex>

#include "runtimes/core/join_handle.hpp"
#include "runtimes/explore/engine.hpp"
#include "runtimes/explore/models/model_driver.hpp"
#include "runtimes/sharded/scheduler.hpp"
#include "runtimes/stealing/scheduler.hpp"

namespace duel::models {

using explore::require;

// A run that must end with nothing left.
inline void run_and_check(duel::scheduler& s, std::move_only_function<void()> main) {
  s.run(std::move(main));
  require(s.live_tasks() == 0, "no task is left");
  require(s.stacks_in_use() == 0, "no stack is left");
}

// Two stealing workers, and the driver that they share.
struct stealing_world {
  explicit stealing_world(stealing::options chosen = {}) : made(configure(chosen)) {}
  void run(std::move_only_function<void()> main) { run_and_check(made, std::move(main)); }

  model_driver* driver = nullptr;  // the last one made
  stealing::scheduler made;

 private:
  stealing::options configure(stealing::options chosen) {
    chosen.workers = 2;
    chosen.make_driver = [this](timer_service&,
                                counters&) -> result<std::unique_ptr<polled_driver>> {
      auto d = std::make_unique<model_driver>();
      driver = d.get();
      return d;
    };
    return chosen;
  }
};

// Two shards with a driver each.
struct sharded_world {
  sharded_world() {
    sharded::options chosen;
    chosen.shards = 2;
    chosen.pin = false;
    chosen.make_driver = [](timer_service&,
                            counters&) -> result<std::unique_ptr<polled_driver>> {
      return std::make_unique<model_driver>();
    };
    made = *sharded::make_scheduler(std::move(chosen));
  }
  void run(std::move_only_function<void()> main) {
    run_and_check(*made, std::move(main));
  }

  std::unique_ptr<duel::scheduler> made;
};

// Set once, by any thread; one task waits for it.
class event {
 public:
  // False: cancelled before it was set.
  bool wait() {
    while (!set_.load()) {
      if (is_cancelled(*current_task())) return false;
      suspend(suspend_reason::event, [this](waker w) {
        {
          std::lock_guard lock(mutex_);
          waiter_ = std::move(w);
        }
        if (set_.load()) fire();
      });
    }
    return true;
  }
  void set() {
    set_.store(true);
    fire();
  }

 private:
  void fire() {
    waker w;
    {
      std::lock_guard lock(mutex_);
      w = std::move(waiter_);
    }
    std::move(w).wake();
  }

  sync::atomic<bool> set_{false};
  sync::mutex mutex_;  // guards waiter_
  waker waiter_;
};

}  // namespace duel::models
