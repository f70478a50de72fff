// scheduler.cpp - what programs see of the shards: the scheduler interface, and a run's
// start and end. Every touch of a task's state word happens on the thread of the task's
// shard.
#include "runtimes/sharded/scheduler.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <mutex>
#include <optional>

#include "runtimes/core/join_handle.hpp"
#include "runtimes/core/pinned_thread.hpp"
#include "runtimes/core/start_gate.hpp"
#include "runtimes/core/step.hpp"
#include "runtimes/sharded/shard.hpp"

namespace duel::sharded {

namespace {

// Mailboxes are one for every pair: 256 shards are 300 MiB of address space.
constexpr unsigned most_shards = 256;

// What shards ask of each other's tasks.
void deliver_new(shard& here, void* what) noexcept {
  here.admit(*static_cast<task*>(what));
}
void deliver_wake(shard& here, void* what) noexcept {
  auto& t = *static_cast<task*>(what);
  here.wake(t);
  here.message_arrived(t);
}
void deliver_cancel(shard& here, void* what) noexcept {
  auto& t = *static_cast<task*>(what);
  here.cancel(t);
  here.message_arrived(t);
}
void deliver_release(shard& here, void* what) noexcept {
  here.release(*static_cast<task*>(what));
}
void deliver_stop(shard& here, void*) noexcept {
  here.wake_all();
}

class scheduler final : public duel::scheduler {
 public:
  explicit scheduler(options chosen)
      : duel::scheduler(true),
        options_(std::move(chosen)),
        cluster_(options_.shards),
        placement_(options_.accept, all_counters()) {
    cluster_.budget = options_.budget;
    cluster_.spin = options_.spin;
  }

  // A call from a thread outside may end the run before it has itself returned.
  ~scheduler() override {
    while (calls_from_outside_.load() > 0) sync::yield_thread();
  }

  void run(std::move_only_function<void()> main) override;
  void stop(stop_mode mode) override;

  void spawn(task& t) override {
    this_shard->counts().add(counter::spawns);
    this_shard->admit(t);
  }
  void spawn_at(unsigned home, task& t) override {
    DUEL_ASSERT(home < homes());
    this_shard->counts().add(counter::spawns);
    t.home = home;
    if (is_here(t)) {
      this_shard->admit(t);
    } else {
      this_shard->post(*cluster_.shards[home], {&deliver_new, &t});
    }
  }
  void wake(task& t) noexcept override {
    if (is_here(t)) return this_shard->wake(t);
    t.messages.fetch_add(1, std::memory_order_relaxed);  // relaxed: see shard::release
    send(*cluster_.shards[t.home], {&deliver_wake, &t});
  }
  void cancel(task& t) noexcept override {
    if (is_here(t)) return this_shard->cancel(t);
    t.messages.fetch_add(1, std::memory_order_relaxed);  // relaxed: see shard::release
    send(*cluster_.shards[t.home], {&deliver_cancel, &t});
  }
  void release(task& t) noexcept override {
    if (is_here(t)) return this_shard->release(t);
    send(*cluster_.shards[t.home], {&deliver_release, &t});
  }
  void suspend(task& self, suspend_reason why, publication publish,
               time_point deadline) override;

  [[nodiscard]] unsigned homes() const noexcept override { return options_.shards; }
  [[nodiscard]] bool places_connections() const noexcept override {
    return placement_.is_asked();
  }
  [[nodiscard]] unsigned home_of_next() noexcept override { return placement_.next(); }
  [[nodiscard]] driver& io() noexcept override { return this_shard->driver(); }
  [[nodiscard]] counters& local_counters() noexcept override {
    return this_shard->counts();
  }
  [[nodiscard]] std::vector<const counters*> all_counters() const override {
    std::vector<const counters*> all;
    for (const auto& s : cluster_.shards) all.push_back(&std::as_const(*s).counts());
    return all;
  }
  [[nodiscard]] std::string description() const override {
    return fmt::format("model=sharded driver={} workers={}{}{}{}", options_.driver,
                       homes(), options_.settings.empty() ? "" : " ", options_.settings,
                       shuffle::description());
  }
  [[nodiscard]] std::size_t live_tasks() const noexcept override {
    std::size_t sum = 0;
    for (const auto& s : cluster_.shards) sum += s->live();
    return sum;
  }
  [[nodiscard]] std::size_t stacks_in_use() const noexcept override {
    std::size_t spare = cluster_.stacks.available(), mapped = cluster_.stacks.mapped();
    for (const auto& s : cluster_.shards) spare += s->spare_stacks();
    return mapped > spare ? mapped - spare : 0;
  }

 private:
  [[nodiscard]] bool is_here(const task& t) const noexcept {
    shard* here = this_shard;
    return here && here->index == t.home && &here->all == &cluster_;
  }
  void send(shard& to, message m) noexcept;
  void run_shard(unsigned index, start_gate& together, std::unique_ptr<task> main);
  void sweep() noexcept;

  const options options_;
  cluster cluster_;
  placement placement_;
  sync::atomic<int> calls_from_outside_{0};  // of stop() and send(), under way
  sync::atomic<bool> closed_{
      false};                // no shard runs any more: mail is handled by sweep()
  sync::mutex sweep_mutex_;  // then guards every shard and task
};

// Waking a sleeper whose timer lies on its stack.
struct sleeper : timer {
  explicit sleeper(task& t) noexcept : timer(&wake_up), who(t) {}
  static time_point wake_up(timer& self, time_point) noexcept {
    this_shard->wake(static_cast<sleeper&>(self).who);
    return never;
  }
  task& who;
};

void scheduler::suspend(task& self, suspend_reason why, publication publish,
                        time_point deadline) {
  if (deadline == never) return switch_out_to_wait(self, why, publish);
  sleeper at_deadline(self);
  this_shard->arm(at_deadline, deadline);
  switch_out_to_wait(self, why, publish);
  this_shard->disarm(at_deadline);
}

void scheduler::send(shard& to, message m) noexcept {
  shard* here = this_shard;
  if (here && &here->all == &cluster_) return here->post(to, m);
  calls_from_outside_.fetch_add(1);
  to.post_from_outside(m);
  // If the run ended before the inbox was filled, nobody else will empty it; if it ended
  // after, its own sweep does.
  if (closed_.load()) sweep();
  calls_from_outside_.fetch_sub(1);
}

void scheduler::stop(stop_mode mode) {
  calls_from_outside_.fetch_add(1);  // or from inside, where it does no harm
  note_stop(mode);
  for (auto& s : cluster_.shards) {
    if (s.get() == this_shard) {
      s->wake_all();
    } else {
      send(*s, {&deliver_stop, nullptr});
    }
  }
  calls_from_outside_.fetch_sub(1);
}

void scheduler::run(std::move_only_function<void()> main) {
  std::exception_ptr thrown;
  std::unique_ptr<task> first(&make_main_task(*this, std::move(main), thrown));
  start_gate together(homes());
  auto cpus = allowed_cpus();
  auto place = [&](unsigned i) -> std::optional<int> {
    return options_.pin ? place_of(i, cpus) : std::nullopt;
  };
  std::vector<sync::jthread> others;
  for (unsigned i = 1; i < homes(); ++i) {
    try {
      others.emplace_back([&, i] {
        pinned_thread here(place(i));
        run_shard(i, together, nullptr);
      });
    } catch (const std::system_error& no_thread) {
      together.fail_and_leave(no_thread.code());
    }
  }
  {
    pinned_thread here(place(0));
    run_shard(0, together, std::move(first));
  }
  others.clear();  // joins
  closed_ = true;
  sweep();
  together.throw_if_failed("cannot start the shards (lower --workers)");
  if (thrown) std::rethrow_exception(thrown);
}

void scheduler::run_shard(unsigned index, start_gate& together,
                          std::unique_ptr<task> main) {
  shard& here = *cluster_.shards[index];
  this_shard = &here;
  if (auto d = options_.make_driver(here, here.counts())) {
    here.open(std::move(*d));
  } else {
    together.fail(d.error());
  }
  if (together.arrive()) {
    if (main) here.admit(*main.release());  // from here on it owns itself
    here.run();
  }
  (void)together.arrive();  // nobody rings a doorbell any more
  here.close();
  this_shard = nullptr;
}

// Handles the mail that is left when the shards' threads have ended: releases, wakes and
// stops from threads that are no shard. It runs no task.
void scheduler::sweep() noexcept {
  std::lock_guard lock(sweep_mutex_);
  shard* before = this_shard;
  for (bool any = true; any;) {
    any = false;
    for (auto& s : cluster_.shards) {
      this_shard = s.get();
      any |= s->deliver_mail();
    }
  }
  this_shard = before;
}

}  // namespace

std::expected<std::unique_ptr<duel::scheduler>, std::string> make_scheduler(
    options chosen) {
  if (auto wrong = shuffle::complaint(); !wrong.empty()) return std::unexpected(wrong);
  if (chosen.shards < 1) return std::unexpected("--workers must be at least 1");
  if (chosen.shards > most_shards) {
    return std::unexpected(fmt::format(
        "model sharded takes at most {} shards (lower --workers)", most_shards));
  }
  return std::make_unique<scheduler>(std::move(chosen));
}

}  // namespace duel::sharded
