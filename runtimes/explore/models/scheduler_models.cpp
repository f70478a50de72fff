// scheduler_models.cpp - whole schedulers: the workers' and shards' loops as shipped,
// with tasks as fibers, on a driver that the model plays.
//
// Every one ends with run() returning, no live task and no stack in use; a wake-up that
// is lost is a deadlock.
#include "runtimes/core/join_handle.hpp"
#include "runtimes/explore/models.hpp"
#include "runtimes/explore/models/model_driver.hpp"
#include "runtimes/sharded/scheduler.hpp"
#include "runtimes/stealing/scheduler.hpp"

namespace duel::models {

using explore::require;

namespace {

// A stealing scheduler with two workers and the drivers that it made.
struct stealing_world {
  explicit stealing_world(stealing::options chosen = {}) : made(configure(chosen)) {}

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
  void run(std::move_only_function<void()> main) {
    made.run(std::move(main));
    require(made.live_tasks() == 0, "no task is left");
    require(made.stacks_in_use() == 0, "no stack is left");
  }

  model_driver* driver = nullptr;
  stealing::scheduler made;
};

// A flag that one task waits for and any thread sets.
class event {
 public:
  void wait() {
    while (!set_.load()) {
      suspend(suspend_reason::event, [this](waker w) {
        {
          std::lock_guard lock(mutex_);
          waiter_ = std::move(w);
        }
        if (set_.load()) fire();
      });
    }
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
  sync::mutex mutex_;
  waker waiter_;
};

void spawned_and_joined(stealing::options chosen) {
  stealing_world w(chosen);
  sync::plain<int> done{0};
  w.run([&] {
    auto a = spawn([&] { done = done + 1; });
    a.join();
    require(done == 1, "the task ran before join() returned");
  });
}

void woken_from_outside(stealing::options chosen) {
  stealing_world w(chosen);
  event go;
  sync::jthread outside([&] { go.set(); });
  w.run([&] { go.wait(); });
}

}  // namespace

}  // namespace duel::models

namespace duel::explore {

using namespace duel::models;

void add_scheduler_models(std::vector<model>& to) {
  to.push_back({.name = "stealing/spawn_and_join",
                .summary = "a task that is spawned runs once, and its joiner goes on",
                .body = [] { spawned_and_joined({}); }});
  to.push_back({.name = "stealing/woken_from_outside",
                .summary = "a wake from a thread that is no worker is not lost",
                .body = [] { woken_from_outside({}); }});
}

}  // namespace duel::explore
