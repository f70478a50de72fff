// scheduler_models.cpp - the stealing scheduler whole: its workers' loop as shipped, with
// tasks as fibers. Every model ends with run() returning; a lost wake-up is a deadlock.
#include "runtimes/explore/models.hpp"
#include "runtimes/explore/models/worlds.hpp"

namespace duel::models {

namespace {

using stealing::options;
using stealing::reactor;

void spawn_and_join(options chosen) {
  stealing_world w(chosen);
  sync::plain<int> done{0};
  w.run([&] {
    auto a = duel::spawn([&] { done = done + 1; });
    a.join();
    require(done == 1, "the task ran before join() returned");
  });
}

// The spawning task runs on; whoever else can takes the children.
void spawn_three(options chosen) {
  stealing_world w(chosen);
  sync::atomic<int> done{0};
  w.run([&] {
    for (int i = 0; i < 3; ++i) {
      // relaxed: only counted
      duel::spawn([&] { done.fetch_add(1, std::memory_order_relaxed); }).detach();
    }
  });
  require(done.load() == 3, "each ran once");
}

void woken_from_outside(options chosen) {
  stealing_world w(chosen);
  event go;
  sync::jthread outside([&] { go.set(); });
  w.run([&] { go.wait(); });
}

// An event of the driver, as a descriptor that becomes ready.
void woken_by_the_driver(options chosen) {
  stealing_world w(chosen);
  sync::atomic<bool> ready{false};
  sync::jthread kernel;
  w.run([&] {
    while (!ready.load()) {
      suspend(suspend_reason::event, [&](waker self) {
        if (kernel.joinable()) return;
        kernel = sync::jthread([&, self = std::move(self)]() mutable {
          ready.store(true);
          w.driver->post(std::move(self));
        });
      });
    }
    kernel.join();
  });
}

void two_wakers(options chosen) {
  stealing_world w(chosen);
  event first, second;
  sync::jthread a([&] { first.set(); });
  sync::jthread b([&] { second.set(); });
  w.run([&] {
    first.wait();
    second.wait();
  });
}

void stopped_while_it_waits(options chosen) {
  stealing_world w(chosen);
  event never_set;
  sync::jthread outside([&] { w.made.stop(stop_mode::drain); });
  w.run([&] { require(!never_set.wait(), "only the stop ends the wait"); });
}

void yields_beside_a_join(options chosen) {
  stealing_world w(chosen);
  w.run([&] {
    auto busy = duel::spawn([] {
      for (int i = 0; i < 2; ++i) yield(*current_task());
    });
    auto quick = duel::spawn([] {});
    quick.join();
    busy.join();
  });
}

void sleeps_until(options chosen) {
  stealing_world w(chosen);
  w.run([&] {
    auto deadline = duel::clock::now() + std::chrono::milliseconds(5);
    while (duel::clock::now() < deadline) suspend(suspend_reason::sleep, deadline);
  });
}

// A task that an event of the driver has woken burns its CPU until another one has run,
// whose event comes only now: whoever sleeps must look at the driver meanwhile.
void burns_beside_an_event(options chosen) {
  stealing_world w(chosen);
  sync::atomic<std::uint32_t> waits{0};
  sync::atomic<bool> has_run{false};
  waker other;
  w.run([&] {
    auto second = duel::spawn([&] {
      suspend(suspend_reason::event, [&](waker self) {
        other = std::move(self);
        waits.store(1);
        futex_wake_one(waits);
      });
      has_run.store(true);
    });
    sync::jthread kernel;
    suspend(suspend_reason::event, [&](waker self) {
      kernel = sync::jthread([&, self = std::move(self)]() mutable {
        while (waits.load() == 0) futex_wait(waits, 0);
        w.driver->post(std::move(self));
        w.driver->post(std::move(other));
      });
    });
    while (!has_run.load()) sync::yield_thread();
    kernel.join();
    second.join();
  });
}

}  // namespace

}  // namespace duel::models

namespace duel::explore {

void add_scheduler_models(std::vector<model>& to) {
  using namespace duel::models;
  auto add = [&](const char* name, const char* summary, void (*body)(options),
                 options chosen = {}) -> model& {
    to.push_back({.name = name, .summary = summary, .body = [=] { body(chosen); }});
    return to.back();
  };
  add("stealing/spawn_and_join", "a spawned task runs once, and its joiner goes on",
      spawn_and_join);
  add("stealing/spawn_three", "tasks that another worker may take run once each",
      spawn_three);
  add("stealing/woken_from_outside", "a wake from a thread that is no worker is not lost",
      woken_from_outside);
  add("stealing/woken_by_the_driver", "an event of the driver reaches its task",
      woken_by_the_driver);
  add("stealing/two_wakers", "two wakes for one task at once: neither is lost",
      two_wakers);
  add("stealing/stopped_while_it_waits", "stop() reaches a task that waits or begins to",
      stopped_while_it_waits);
  add("stealing/yields_beside_a_join", "a task that yields does not keep others waiting",
      yields_beside_a_join);
  add("stealing/sleeps_until", "a deadline ends a wait", sleeps_until);
  add("stealing/burns_beside_an_event", "a task that burns its CPU does not hide events",
      burns_beside_an_event)
      .how.most_steps = 600;
  add("stealing/reactor_thread", "the same with a reactor of its own",
      woken_by_the_driver, {.polls = reactor::thread});
  add("stealing/reactor_per_worker", "the same with a driver for each worker",
      woken_from_outside, {.polls = reactor::per_worker});
  add("stealing/without_stealing", "the same without stealing", woken_from_outside,
      {.steal_most = 0});
  add("stealing/global_queue", "the same with one queue for all", spawn_three,
      {.steal_most = 0, .lifo = false, .global_queue = true});
  add("stealing/steal_one", "the same taking one task at a time", spawn_three,
      {.steal_most = 1, .lifo = false});
}

}  // namespace duel::explore
