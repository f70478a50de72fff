// sharded_models.cpp - the sharded scheduler whole: two shards with their loops,
// mailboxes and doorbells as shipped. Every model ends with run() returning; lost mail is
// a deadlock.
#include "runtimes/api/task.hpp"
#include "runtimes/explore/models.hpp"
#include "runtimes/explore/models/worlds.hpp"

namespace duel::models {

namespace {

// A task at the other home; the run ends when both shards have nothing left.
void spawn_elsewhere() {
  sharded_world w;
  sync::plain<int> done{0};
  w.run([&] { duel::spawn_at(1, [&] { done = done + 1; }); });
  require(done == 1, "it ran once");
}

// There and back: the answer wakes the asking task.
void ask_another_shard() {
  sharded_world w;
  event answered;
  sync::plain<int> answer{0};
  w.run([&] {
    duel::spawn_at(1, [&] {
      answer = 42;
      answered.set();
    });
    answered.wait();
    require(answer == 42, "the answer is there");
  });
}

void woken_from_outside() {
  sharded_world w;
  event go;
  sync::jthread outside([&] { go.set(); });
  w.run([&] { go.wait(); });
}

void stopped_while_it_waits() {
  sharded_world w;
  event never_set;
  sync::jthread outside([&] { w.made->stop(stop_mode::drain); });
  w.run([&] { require(!never_set.wait(), "only the stop ends the wait"); });
}

// More messages than a mailbox holds.
void more_mail_than_fits() {
  sharded_world w;
  sync::atomic<int> done{0};
  w.run([&] {
    for (int i = 0; i < 6; ++i) {
      // relaxed: only counted
      duel::spawn_at(1, [&] { done.fetch_add(1, std::memory_order_relaxed); });
    }
  });
  require(done.load() == 6, "each ran once");
}

// A waker that outlives its task, dropped by a thread outside, perhaps after the run.
void waker_outlives_the_run() {
  sharded_world w;
  waker kept;
  sync::atomic<std::uint32_t> given{0};
  sync::jthread outside([&] {
    while (given.load() == 0) futex_wait(given, 0);
    std::move(kept).wake();
  });
  w.run([&] {
    kept = waker::of(*current_task());
    given.store(1);
    futex_wake_one(given);
  });
  outside.join();
}

void both_ask_each_other() {
  sharded_world w;
  event left, right;
  w.run([&] {
    duel::spawn_at(1, [&] {
      left.set();
      right.wait();
    });
    left.wait();
    right.set();
  });
}

}  // namespace

}  // namespace duel::models

namespace duel::explore {

void add_sharded_models(std::vector<model>& to) {
  using namespace duel::models;
  auto add = [&](const char* name, const char* summary, void (*body)()) {
    to.push_back({.name = name, .summary = summary, .body = body});
  };
  add("sharded/spawn_elsewhere", "a task sent to another shard runs once, then all ends",
      spawn_elsewhere);
  add("sharded/ask_another_shard", "a question and its answer are not lost",
      ask_another_shard);
  add("sharded/woken_from_outside", "a wake from a thread that is no shard is not lost",
      woken_from_outside);
  add("sharded/stopped_while_it_waits", "stop() reaches a task that waits or begins to",
      stopped_while_it_waits);
  add("sharded/more_mail_than_fits", "a full mailbox loses nothing", more_mail_than_fits);
  add("sharded/waker_outlives_the_run", "a late wake finds its task or its end",
      waker_outlives_the_run);
  add("sharded/both_ask_each_other", "two shards that wait for each other go on",
      both_ask_each_other);
}

}  // namespace duel::explore
