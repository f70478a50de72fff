// waiting_models.cpp - readiness of a descriptor and the task that waits for it; and the
// end of a scheduler beside a stop().
//
// A task is a thread here: it waits on its park word, as a task of the blocking models.
#include "runtimes/core/futex.hpp"
#include "runtimes/core/join_handle.hpp"
#include "runtimes/core/scheduler.hpp"
#include "runtimes/drivers/epoll/readiness.hpp"
#include "runtimes/explore/models/parts.hpp"

namespace duel::explore {

namespace {

using epoll::readiness, epoll::waiter_slot;

// Wakes, releases and stops; nothing else is asked of it.
class small_scheduler final : public scheduler {
 public:
  small_scheduler() : scheduler(false) {}
  ~small_scheduler() override {
    await_stops();
    calls = calls + 1;  // after the last use of it by stop()
  }
  void run(std::move_only_function<void()>) override {}
  void stop(stop_mode mode) override {
    stop_scope under_way(*this);
    note_stop(mode);
    ended.exchange(1);
    futex_wake_one(ended);
    calls = calls + 1;
  }
  void await_end() {
    while (ended.load() == 0) futex_wait(ended, 0);
  }

  void spawn(task&) override {}
  void spawn_at(unsigned, task&) override {}
  void wake(task& t) noexcept override {
    t.park_word.exchange(1);
    futex_wake_one(t.park_word);
  }
  void cancel(task& t) noexcept override {
    (void)t.state.cancel();
    wake(t);
  }
  void release(task& t) noexcept override {
    if (t.state.drop_reference() == drop_action::free_task) delete &t;
  }
  void suspend(task& self, suspend_reason, publication, time_point) override {
    while (self.park_word.exchange(0) == 0) futex_wait(self.park_word, 0);
  }
  unsigned homes() const noexcept override { return 1; }
  driver& io() noexcept override { std::abort(); }
  counters& local_counters() noexcept override { std::abort(); }
  std::vector<const counters*> all_counters() const override { return {}; }
  std::string description() const override { return {}; }
  std::size_t live_tasks() const noexcept override { return 0; }

  sync::atomic<std::uint32_t> ended{0};
  sync::plain<int> calls{0};
};

struct small_task final : task {
  explicit small_task(scheduler& on) noexcept : task(on, false) {
    detach_before_start(*this);
  }
  void run_body() noexcept override {}
  void fail(std::exception_ptr) noexcept override {}
  void drop_result() noexcept override {}
};

// A task for as long as the scope; whoever else has a waker of it keeps it alive.
class running {
 public:
  explicit running(small_scheduler& on) : on_(on), task_(new small_task(on)) {}
  running(const running&) = delete;
  running& operator=(const running&) = delete;
  ~running() { on_.release(*task_); }
  [[nodiscard]] task& get() noexcept { return *task_; }
  [[nodiscard]] waker make_waker() noexcept { return waker::of(*task_); }
  void suspend() { on_.suspend(*task_, suspend_reason::receive, {}, never); }

 private:
  small_scheduler& on_;
  task* task_;
};

// --- a descriptor ----------------------------------------------------------------------

// One direction of it, as the kernel and the driver have it.
struct direction {
  explicit direction(std::uint32_t its_bit) noexcept : bit(its_bit) {}
  const std::uint32_t bit;
  sync::atomic<int> bytes{0};  // in the kernel
  waiter_slot waiter;
};

// The kernel reports each edge once, and the poller says so.
void edge(readiness& ready, direction& of) {
  of.bytes.fetch_add(1);
  ready.set(of.bit);
  of.waiter.wake();
}

// As the epoll driver: an attempt while the bits are set, then a wait. Returns the number
// of attempts.
unsigned receive(small_scheduler& on, readiness& ready, direction& from) {
  running self(on);
  for (unsigned attempts = 0;;) {
    for (auto seen = ready.get(); seen & from.bit; seen = ready.get()) {
      ++attempts;
      if (from.bytes.load() > 0) {
        from.bytes.fetch_sub(1);
        return attempts;
      }
      ready.clear(seen, from.bit);
    }
    reached("waits");
    from.waiter.wait(self.make_waker(), [&] { return (ready.get() & from.bit) != 0; });
    self.suspend();
    from.waiter.leave();
  }
}

// The descriptor turns readable while a task finds it empty and says so.
void edge_beside_eagain() {
  small_scheduler scheduler;
  readiness ready;
  direction in(readiness::readable);
  sync::jthread poller([&] { edge(ready, in); });
  auto attempts = receive(scheduler, ready, in);
  require(attempts <= 3, "no attempt without a reason");
  if (attempts == 1) reached("at once");
  poller.join();
}

void two_edges() {
  small_scheduler scheduler;
  readiness ready;
  direction in(readiness::readable);
  sync::jthread poller([&] {
    edge(ready, in);
    edge(ready, in);
  });
  for (int i = 0; i < 2; ++i) (void)receive(scheduler, ready, in);
  poller.join();
}

// A reader and a writer, each with its own slot on one word.
void two_directions() {
  small_scheduler scheduler;
  readiness ready;
  direction in(readiness::readable), out(readiness::writable);
  sync::jthread reader([&] { (void)receive(scheduler, ready, in); });
  sync::jthread poller([&] {
    edge(ready, in);
    edge(ready, out);
  });
  (void)receive(scheduler, ready, out);
  reader.join();
  poller.join();
}

// A task that something else wakes leaves its slot while the poller empties it.
void leave_beside_wake() {
  small_scheduler scheduler;
  readiness ready;
  waiter_slot slot;
  running self(scheduler);
  slot.wait(self.make_waker(), [] { return false; });
  sync::jthread poller([&] {
    ready.set(readiness::readable);
    slot.wake();
  });
  slot.leave();
  poller.join();
  self.get().park_word.exchange(0) ? reached("woken") : reached("left");
}

// Two that empty one slot: a poller and a deadline. The waiter is woken once.
void two_wakes() {
  small_scheduler scheduler;
  waiter_slot slot;
  sync::plain<int> event{0};
  running self(scheduler);
  slot.wait(self.make_waker(), [] { return false; });
  event = 1;
  sync::jthread poller([&] { slot.wake(); }), deadline([&] { slot.wake(); });
  self.suspend();
  slot.leave();
  poller.join();
  deadline.join();
  require(self.get().park_word.load() == 0, "woken once");
}

// The task that is cancelled as its event comes ends with either, and with no waker left.
void cancel_beside_event() {
  small_scheduler scheduler;
  readiness ready;
  direction in(readiness::readable);
  running self(scheduler);
  ready.clear(ready.get(), in.bit);
  sync::jthread poller([&] { edge(ready, in); });
  sync::jthread canceller([&, w = self.make_waker()]() mutable {
    (void)self.get().state.cancel();
    std::move(w).wake();
  });
  for (bool ended = false; !ended;) {
    if (ready.get() & in.bit) {
      reached("event");
      break;
    }
    if (self.get().state.is_cancelled()) {
      reached("cancelled");
      break;
    }
    in.waiter.wait(self.make_waker(), [&] { return (ready.get() & in.bit) != 0; });
    self.suspend();
    in.waiter.leave();
  }
  poller.join();
  canceller.join();
}

// What was written before the wake is there after it.
void wake_publishes() {
  small_scheduler scheduler;
  waiter_slot slot;
  sync::plain<int> data{0};
  sync::atomic<bool> is_set{false};
  running self(scheduler);
  sync::jthread poller([&] {
    data = 1;
    is_set.store(true);
    slot.wake();
  });
  slot.wait(self.make_waker(), [&] { return is_set.load(); });
  self.suspend();
  slot.leave();
  require(data == 1, "it is there");
  poller.join();
}

// --- the end of a scheduler ------------------------------------------------------------

// The stop() that ends a run may still be under way when the owner destroys it.
void stop_beside_destruction() {
  auto* scheduler = new small_scheduler;
  sync::jthread stopping([=] { scheduler->stop(stop_mode::drain); });
  scheduler->await_end();
  require(scheduler->is_draining() && !scheduler->is_cut(), "it says what was asked for");
  delete scheduler;
}

void two_stops() {
  small_scheduler scheduler;
  sync::jthread cut([&] {
    scheduler.stop(stop_mode::cut);
    require(scheduler.is_cut(), "a cut stays one");
  });
  cut.join();
  scheduler.stop(stop_mode::drain);
  require(scheduler.is_cut() && scheduler.is_draining(), "a cut stays one");
}

}  // namespace

void add_waiting_models(std::vector<model>& to) {
  to.push_back({.name = "readiness/edge_beside_eagain",
                .summary = "an edge between a failed attempt and its clear is not lost",
                .body = &edge_beside_eagain,
                .outcomes = {"at once", "waits"}});
  to.push_back({.name = "readiness/two_edges",
                .summary = "nor are two, for a task that receives twice",
                .body = &two_edges,
                .bound = 2,
                .outcomes = {"waits"}});
  to.push_back({.name = "readiness/two_directions",
                .summary = "a reader and a writer share a word and lose nothing",
                .body = &two_directions,
                .bound = 2,
                .outcomes = {"waits"}});
  to.push_back({.name = "readiness/leave_beside_wake",
                .summary = "the waker in a slot has one taker",
                .body = &leave_beside_wake,
                .outcomes = {"woken", "left"}});
  to.push_back({.name = "readiness/two_wakes",
                .summary = "two that wake a slot wake its task once",
                .body = &two_wakes});
  to.push_back({.name = "readiness/cancel_beside_event",
                .summary = "a task that is cancelled as its event comes leaves no waker",
                .body = &cancel_beside_event,
                .bound = 2,
                .outcomes = {"event", "cancelled"}});
  to.push_back({.name = "readiness/wake_publishes",
                .summary = "what was written before a wake is there after it",
                .body = &wake_publishes});
  to.push_back({.name = "stop/beside_destruction",
                .summary = "a scheduler lives until the stop() that ended it returns",
                .body = &stop_beside_destruction});
  to.push_back({.name = "stop/two",
                .summary = "a drain after a cut is a cut",
                .body = &two_stops});
}

}  // namespace duel::explore
