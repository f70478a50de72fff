// join_models.cpp - the join-waker cell and the result: who may touch them while a task
// ends, its handle leaves and its joiner is woken.
#include "runtimes/explore/models.hpp"
#include "runtimes/explore/models/task_world.hpp"

namespace duel::models {

namespace {

constexpr unsigned subject = 0;  // slots

void require_used_up(const tally& counts) {
  require(counts.made == counts.dropped, "a result is dropped once");
  require(counts.freed == 1, "a task is freed once");
}

// The joiner gets the value or the exception, whether it comes before the end or after.
void join_beside_completion() {
  bool throws = any_of(2) == 1;
  tally joined, joiner;
  task_world world;
  join_handle<token> handle(world.start(joined, [=] {
    if (throws) throw std::runtime_error("thrown by the task");
  }));
  bool is_done = false, was_thrown = false;
  join_handle<token>(world.start(joiner, [&] {
    handle.is_done() ? reached("joined after the end") : reached("joined before the end");
    try {
      (void)handle.join();
    } catch (const std::runtime_error&) {
      was_thrown = true;
    }
    is_done = true;
  })).detach();
  sync::jthread other([&] { world.run_to_end(1); });
  world.run_one(subject);
  other.join();
  require(is_done && was_thrown == throws, "what the task threw reaches the joiner");
  require_used_up(joined);
  require_used_up(joiner);
}

// The handle leaves while the task ends, with a result that somebody has to drop.
void detach_beside_completion() {
  tally counts;
  task_world world;
  join_handle<token> handle(world.start(counts, [] {}));
  sync::jthread other([&] {
    handle.is_done() ? reached("left after the end") : reached("left before the end");
    handle.detach();
  });
  world.run_one(subject);
  other.join();
  require_used_up(counts);
}

// A joiner that somebody else wakes may see the end, take the result and leave before the
// completing thread has woken it: then that one drops the waker.
void joiner_leaves_early() {
  tally joined, joiner;
  task_world world;
  counted_task& t = world.start(joined, [] {});
  join_handle<token> handle(t);
  counted_task& j = world.start(joiner, [&] {
    await_completion(t);
    bool is_lent = t.state.word() & task_state::join_waker;
    reached(is_lent ? "left before it was woken" : "left after it was woken");
    (void)handle.join();
  });
  join_handle<token>(j).detach();
  waker spurious = waker::of(j);
  world.run_one(1);
  sync::jthread completing([&] { world.run_one(subject); });
  sync::jthread joining([&] { world.run_to_end(1); });
  std::move(spurious).wake();
  completing.join();
  joining.join();
  require_used_up(joined);
  require_used_up(joiner);
}

// One task spawns, another joins: it is the joiner that is woken.
void handle_moved_to_another_task() {
  tally spawner, joiner;
  task_world world;
  std::optional<join_handle<void>> handle;
  sync::plain<bool> ran{false};
  join_handle<token>(world.start(spawner, [&] {
    handle = spawn([&] { ran = true; });
  })).detach();
  world.run_one(0);
  join_handle<token>(world.start(joiner, [&] {
    auto mine = std::move(*handle);
    mine.join();
    require(ran, "the task has run when it is joined");
  })).detach();
  sync::jthread other([&] { world.run_to_end(2); });
  world.run_one(1);
  other.join();
  require_used_up(spawner);
  require_used_up(joiner);
}

// One joiner, two tasks that end on two threads.
void joins_a_set() {
  tally first, second, joiner;
  task_world world;
  join_handle<token> handles[]{join_handle<token>(world.start(first, [] {})),
                               join_handle<token>(world.start(second, [] {}))};
  join_handle<token>(world.start(joiner, [&] {
    for (auto& each : handles) (void)each.join();
  })).detach();
  sync::jthread a([&] { world.run_one(0); });
  sync::jthread b([&] { world.run_one(1); });
  world.run_to_end(2);
  a.join();
  b.join();
  for (auto* each : {&first, &second, &joiner}) require_used_up(*each);
}

// Both are possible, and the joiner gets an answer either way.
void cancel_beside_completion() {
  tally cancelled;
  task_world world;
  bool saw_it = false;
  join_handle<token> handle(
      world.start(cancelled, [&] { saw_it = is_cancelled(*current_task()); }));
  sync::jthread running([&] { world.run_one(subject); });
  handle.cancel();
  running.join();
  reached(saw_it ? "cancelled" : "finished");
  require(!world.run_one(subject), "a task that has ended is not queued again");
  (void)handle.join();
  require_used_up(cancelled);
}

// A waiting task with no handle and no waker is still its scheduler's: a stop ends it.
void forgotten_task() {
  tally counts;
  task_world world;
  waker last;
  join_handle<token> handle(world.start(counts, [&] {
    task& self = *current_task();
    while (!is_cancelled(self)) {
      suspend(suspend_reason::event, [&](waker w) { last = std::move(w); });
    }
  }));
  world.run_one(subject);
  sync::jthread dropping([&] { last.reset(); });
  sync::jthread stopping([&] { world.stop(stop_mode::drain); });
  handle.detach();
  dropping.join();
  stopping.join();
  world.run_one(subject);
  require_used_up(counts);
}

// The stop that ends the last task may still be under way when the scheduler dies.
void destroyed_beside_a_stop() {
  tally counts;
  std::optional<task_world> world(std::in_place);
  join_handle<token>(world->start(counts, [] {
    task& self = *current_task();
    while (!is_cancelled(self)) suspend(suspend_reason::event);
  })).detach();
  sync::jthread stopping([&] { world->stop(stop_mode::drain); });
  world->run_to_end(subject);
  world.reset();
  stopping.join();
  require_used_up(counts);
}

// Whoever gets the waker may resume the task at once, on another thread.
void resumed_as_it_is_published() {
  tally counts;
  task_world world;
  sync::atomic<std::uint32_t> is_published{0};
  waker published;  // by the release below
  sync::plain<int> on_its_stack{0};
  join_handle<token>(world.start(counts, [&] {
    bool is_set = false;
    auto publish = [&](waker w) {
      published = std::move(w);
      is_set = true;
      is_published.store(1, std::memory_order_release);  // release: with the waker
      explore::futex_wake_one(is_published);
    };
    on_its_stack = on_its_stack + 1;
    while (!is_set) suspend(suspend_reason::event, publish);
    on_its_stack = on_its_stack + 1;
  })).detach();
  sync::jthread other([&] {
    // acquire: with the waker
    while (is_published.load(std::memory_order_acquire) == 0) {
      explore::futex_wait(is_published, 0, never);
    }
    std::move(published).wake();
    if (world.run_one(subject)) reached("resumed by who was given the waker");
  });
  world.run_one(subject);
  if (world.run_one(subject)) reached("resumed where it was suspended");
  other.join();
  world.run_one(subject);
  require(on_its_stack == 2, "the body has gone on");
  require_used_up(counts);
}

// The publication of a task that somebody else wakes, runs to its end and frees, as soon
// as it waits.
void published_beside_wake() {
  tally counts;
  task_world world;
  sync::atomic<bool> is_set{false};
  waker published;
  counted_task& t = world.start(counts, [&] {
    // relaxed: the wake makes it visible
    while (!is_set.load(std::memory_order_relaxed)) {
      suspend(suspend_reason::event, [&](waker w) { published = std::move(w); });
    }
    published.reset();
  });
  join_handle<token>(t).detach();
  sync::jthread other([&, w = waker::of(t)]() mutable {
    is_set.store(true, std::memory_order_relaxed);  // relaxed: as above
    std::move(w).wake();
    world.run_one(subject);
  });
  world.run_one(subject);
  world.run_one(subject);
  other.join();
  world.run_one(subject);
  require_used_up(counts);
}

// A task that yields is in its queue, and a wake meanwhile is not lost.
void woken_while_it_yields() {
  tally counts;
  task_world world;
  sync::atomic<bool> is_set{false};
  counted_task& t = world.start(counts, [&] {
    yield(*current_task());
    // relaxed: the wake makes it visible
    while (!is_set.load(std::memory_order_relaxed)) suspend(suspend_reason::event);
  });
  join_handle<token>(t).detach();
  waker w = waker::of(t);
  sync::jthread other([&] {
    is_set.store(true, std::memory_order_relaxed);  // relaxed: as above
    std::move(w).wake();
  });
  sync::jthread second([&] { world.run_one(subject); });
  world.run_to_end(subject);
  other.join();
  second.join();
  require_used_up(counts);
}

}  // namespace

}  // namespace duel::models

namespace duel::explore {

using namespace duel::models;

void add_join_models(std::vector<model>& to) {
  to.push_back({.name = "join/beside_completion",
                .summary = "a joiner is woken once, and gets the value or the exception",
                .body = join_beside_completion,
                .outcomes = {"joined after the end", "joined before the end"}});
  to.push_back({.name = "join/detach_beside_completion",
                .summary = "the result is dropped by the handle or by the task",
                .body = detach_beside_completion,
                .outcomes = {"left after the end", "left before the end"}});
  to.push_back({.name = "join/leaves_early",
                .summary = "the join waker belongs to one side while it is used",
                .body = joiner_leaves_early,
                .outcomes = {"left before it was woken", "left after it was woken"}});
  to.push_back({.name = "join/moved_handle",
                .summary = "who joins is woken, whoever spawned",
                .body = handle_moved_to_another_task});
  to.push_back({.name = "join/set",
                .summary = "one joiner gets the results of two tasks",
                .body = joins_a_set});
  to.push_back({.name = "join/cancel_beside_completion",
                .summary = "a task is cancelled or finishes, and is joined",
                .body = cancel_beside_completion,
                .outcomes = {"cancelled", "finished"}});
  to.push_back({.name = "task/forgotten",
                .summary = "a stop ends a task that nobody else can reach",
                .body = forgotten_task});
  to.push_back({.name = "task/destroyed_beside_stop",
                .summary = "a scheduler outlives the stop that ends its last task",
                .body = destroyed_beside_a_stop});
  to.push_back({.name = "task/publish",
                .summary = "a task is resumed only when its stack is saved",
                .body = resumed_as_it_is_published,
                .outcomes = {"resumed by who was given the waker",
                             "resumed where it was suspended"}});
  to.push_back({.name = "task/published_beside_wake",
                .summary = "what a task publishes is published before it may go on",
                .body = published_beside_wake});
  to.push_back({.name = "task/woken_while_it_yields",
                .summary = "a task that yields is queued once, and sees what woke it",
                .body = woken_while_it_yields});
}

}  // namespace duel::explore
