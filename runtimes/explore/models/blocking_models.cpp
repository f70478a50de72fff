// blocking_models.cpp - tasks that own an OS thread: parking it, waking it, deadlines,
// stop, and the system call it is blocked in.
#include <sys/socket.h>

#include "runtimes/core/blocking_scheduler.hpp"
#include "runtimes/core/interrupt.hpp"
#include "runtimes/explore/models.hpp"
#include "runtimes/explore/models/task_world.hpp"

namespace duel::models {

namespace {

// A thread for each task, as in the model threads.
class blocking_world final : public blocking_scheduler {
 public:
  blocking_world() : blocking_scheduler(nullptr, counters::writers::many) {}

  void run(std::move_only_function<void()> main) override {
    std::exception_ptr failure;
    task& first = make_main_task(*this, std::move(main), failure);
    link(first);
    run_linked(first);
    for (auto& each : threads_) {
      if (each.joinable()) each.join();
    }
    require(!failure, "the main task has thrown nothing");
    require(live_tasks() == 0, "no task is left");
  }
  void spawn(task& t) override {
    link(t);
    threads_[spawned_++] = sync::jthread([this, &t] { run_linked(t); });
  }
  std::string description() const override { return "explored"; }

  // As spawn(), of a task that tells `into`.
  counted_task& start(tally& into, counted_task::body_fn body) {
    auto* t = new counted_task(*this, into, std::move(body));
    spawn(*t);
    return *t;
  }

 private:
  std::array<sync::jthread, 4> threads_;
  unsigned spawned_ = 0;  // by the main task
};

void require_nothing_left_over() {
  // relaxed: what this thread stored last, or a store that should not be
  require(current_task()->park_word.load(std::memory_order_relaxed) == 0,
          "no wake is left over");
}

// relaxed: the wake is what makes a condition visible, in all models here.
constexpr auto relaxed = std::memory_order_relaxed;

// Two wakes at once, of a task that may not yet wait.
void woken_by_two() {
  tally counts;
  blocking_world world;
  sync::atomic<bool> first{false}, second{false};
  int polls = 0;
  world.run([&] {
    counted_task& t = world.start(counts, [&] {
      while (!first.load(relaxed) || !second.load(relaxed)) {
        suspend(suspend_reason::event);
        require_nothing_left_over();
        ++polls;
      }
      reached(polls == 2 ? "woken twice" : "woken less than twice");
    });
    join_handle<token> handle(t);
    waker w = waker::of(t);
    sync::jthread other([&, own = w.clone()]() mutable {
      first.store(true, relaxed);
      std::move(own).wake();
    });
    second.store(true, relaxed);
    std::move(w).wake();
    other.join();
    (void)handle.join();
  });
  require(polls <= 2, "a wait ends when there was a wake");
  require(counts.freed == 1 && counts.made == counts.dropped, "nothing is left");
}

// The deadline of one wait beside a wake, and then another wait: the first neither loses
// nor leaves behind what the second needs.
void deadline_beside_wake() {
  tally counts;
  blocking_world world;
  sync::atomic<bool> first{false}, second{false};
  world.run([&] {
    counted_task& t = world.start(counts, [&] {
      suspend(suspend_reason::event, clock::now() + std::chrono::milliseconds(1));
      require_nothing_left_over();
      reached(first.load(relaxed) ? "woken" : "timed out");
      while (!second.load(relaxed)) {
        suspend(suspend_reason::event);
        require_nothing_left_over();
      }
    });
    join_handle<token> handle(t);
    waker w = waker::of(t);
    first.store(true, relaxed);
    w.wake_by_ref();
    second.store(true, relaxed);
    std::move(w).wake();
    (void)handle.join();
  });
  require(counts.freed == 1 && counts.made == counts.dropped, "nothing is left");
}

// A stop finds a task wherever it is; a task that starts later finds the stop.
void stop_beside_spawn() {
  tally counts;
  blocking_world world;
  sync::jthread stopping([&] { world.stop(stop_mode::drain); });
  world.run([&] {
    join_handle<token>(world.start(counts, [&] {
      task& self = *current_task();
      reached(is_cancelled(self) ? "stopped before it ran" : "ran before the stop");
      while (!is_cancelled(self)) suspend(suspend_reason::event);
    })).detach();
  });
  require(counts.freed == 1 && counts.made == counts.dropped, "nothing is left");
}

// The stop that ends run() may still be under way when the scheduler dies.
void destroyed_beside_stop() {
  std::optional<blocking_world> world(std::in_place);
  sync::jthread stopping([&] { world->stop(stop_mode::drain); });
  world->run([&] {
    task& self = *current_task();
    while (!is_cancelled(self)) suspend(suspend_reason::event);
  });
  world.reset();
}

// A task is cancelled and woken while it joins another one, which it does to the end.
void cancelled_beside_join() {
  tally joined, joiner;
  blocking_world world;
  world.run([&] {
    join_handle<token> inner(world.start(joined, [] {}));
    counted_task& t = world.start(joiner, [&] {
      (void)inner.join();
      require_nothing_left_over();
    });
    join_handle<token> handle(t);
    handle.cancel();
    (void)handle.join();
  });
  for (auto* each : {&joined, &joiner}) {
    require(each->freed == 1 && each->made == each->dropped, "nothing is left");
  }
}

// --- interrupted calls ---------------------------------------------------------------

// What a task blocks in. Its descriptor is the task's to close, so whoever shuts it down
// must be ordered before that.
struct fake_socket {
  static constexpr int descriptor = 5;
  static constexpr std::uint32_t shut = 1, arrived = 2;
  sync::plain<bool> is_open{true};
  sync::plain<int> shutdowns{0};
  sync::atomic<std::uint32_t> state{0};

  // As recv(): returns when there is something to read or nothing more to come.
  bool receive() {
    while (state.load() == 0) explore::futex_wait(state, 0, never);
    return state.load() & arrived;
  }
  void set(std::uint32_t bit) {
    state.fetch_or(bit);
    explore::futex_wake_one(state);
  }
};
fake_socket* open_socket;  // of this execution

bool receive_once(task& self, fake_socket& from) {
  interruptible_scope scope(self, fake_socket::descriptor, blocked_direction::in);
  return !is_cancelled(self) && from.receive();
}

// A call of a task that is cancelled returns, or is not begun; and by two cancellers.
void call_is_cancelled() {
  tally counts;
  fake_socket s;
  open_socket = &s;
  bool by_two = any_of(2) == 1;
  blocking_world world;
  world.run([&] {
    counted_task& t = world.start(counts, [&] {
      require(!receive_once(*current_task(), s), "nothing has arrived");
      s.is_open = false;
    });
    join_handle<token> handle(t);
    waker keeps = waker::of(t);
    sync::jthread other;
    if (by_two) other = sync::jthread([&] { world.cancel(t); });
    handle.cancel();
    if (other.joinable()) other.join();
    keeps.reset();
    (void)handle.join();
  });
  reached(s.shutdowns > 0 ? "interrupted" : "not begun");
  require(counts.freed == 1, "nothing is left");
}

// A drain lets a shielded call end by itself; a cut does not.
void call_is_shielded() {
  tally counts;
  fake_socket s;
  open_socket = &s;
  bool cuts = any_of(2) == 1;
  blocking_world world;
  world.run([&] {
    join_handle<token> handle(world.start(counts, [&] {
      shield_scope whole;
      bool received = receive_once(*current_task(), s);
      require(received != cuts, "a drain waits for what is shielded, a cut does not");
      s.is_open = false;
    }));
    shield_scope own;  // is not what is asked about
    world.stop(cuts ? stop_mode::cut : stop_mode::drain);
    if (!cuts) s.set(fake_socket::arrived);
    (void)handle.join();
  });
  require(cuts || s.shutdowns == 0, "a drain shuts down nothing that is shielded");
  require(counts.freed == 1, "nothing is left");
}

}  // namespace

}  // namespace duel::models

// Instead of the C library's, in this program.
extern "C" int shutdown(int fd, int) noexcept {
  auto& s = *duel::models::open_socket;
  duel::explore::require(fd == duel::models::fake_socket::descriptor && s.is_open,
                         "what is shut down is the socket that the task is blocked in");
  s.shutdowns = s.shutdowns + 1;
  s.set(duel::models::fake_socket::shut);
  return 0;
}

namespace duel::explore {

using namespace duel::models;

void add_blocking_models(std::vector<model>& to) {
  to.push_back({.name = "blocking/woken_by_two",
                .summary = "a thread that parks for its task loses no wake, keeps none",
                .body = woken_by_two,
                .bound = 2,  // three threads, each with its store buffer
                .outcomes = {"woken twice", "woken less than twice"}});
  to.push_back({.name = "blocking/deadline_beside_wake",
                .summary = "a deadline that races a wake neither loses nor keeps it",
                .body = deadline_beside_wake,
                .outcomes = {"woken", "timed out"}});
  to.push_back({.name = "blocking/stop_beside_spawn",
                .summary = "a stop reaches tasks that are being spawned",
                .body = stop_beside_spawn,
                .outcomes = {"stopped before it ran", "ran before the stop"}});
  to.push_back({.name = "blocking/destroyed_beside_stop",
                .summary = "a scheduler outlives the stop that ends it",
                .body = destroyed_beside_stop});
  to.push_back({.name = "blocking/cancelled_beside_join",
                .summary = "a joiner that is cancelled joins to the end",
                .body = cancelled_beside_join});
  to.push_back(
      {.name = "blocking/call_is_cancelled",
       .summary = "a cancelled call returns, and its descriptor is still its own",
       .body = call_is_cancelled,
       .outcomes = {"interrupted", "not begun"}});
  to.push_back({.name = "blocking/call_is_shielded",
                .summary = "a shield keeps a call from a drain, not from a cut",
                .body = call_is_shielded});
}

}  // namespace duel::explore
