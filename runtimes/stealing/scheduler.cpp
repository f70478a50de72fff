#include "runtimes/stealing/scheduler.hpp"

#include <fmt/format.h>

#include "runtimes/core/join_handle.hpp"

namespace duel::stealing {

constinit thread_local worker* detail::thread_worker = nullptr;

namespace {

// noinline: see current_task().
[[gnu::noinline]] worker* this_worker() noexcept {
  asm volatile("");
  return detail::thread_worker;
}

}  // namespace

scheduler::scheduler(options chosen)
    : duel::scheduler(false),
      options_(std::move(chosen)),
      idle_(workers()),
      timers_([this](unsigned sleeper) {
        (driver_ ? *driver_ : workers_[sleeper]->driver()).interrupt();
      }),
      own_(workers()),
      live_(workers()) {
  for (unsigned i = 0; i < workers(); ++i) {
    workers_.push_back(std::make_unique<worker>(*this, i, stacks_));
  }
  if (options_.polls == reactor::per_worker) return;
  auto made = options_.make_driver(timers_, outside_);
  if (!made) throw std::system_error(made.error(), options_.driver + " driver");
  driver_ = std::move(*made);
  for (auto& w : workers_) w->use(*driver_);
}

scheduler::~scheduler() {
  await_stops();
}

// --- a run ---------------------------------------------------------------------------

void scheduler::run(std::move_only_function<void()> main) {
  std::exception_ptr failure;
  task& first = make_main_task(*this, std::move(main), failure);
  workers_[0]->add_live(1);
  injected_.push(task_chain::of(first));

  start_gate together(workers());
  std::vector<sync::jthread> threads;
  for (unsigned i = 1; i < workers(); ++i) {
    try {
      threads.emplace_back([&, i] { run_worker(i, together); });
    } catch (const std::system_error& no_thread) {
      together.fail_and_leave(no_thread.code());
    }
  }
  sync::jthread polling;
  if (options_.polls == reactor::thread) {
    try {
      polling = sync::jthread([this] { react(); });
    } catch (const std::system_error& no_thread) {
      together.fail(no_thread.code());
    }
  }
  run_worker(0, together);
  threads.clear();  // joins
  if (polling.joinable()) {
    finished_.store(true);  // also if nobody ran
    driver_->interrupt();
    polling.join();
  }
  if (together.has_failed()) delete &first;
  together.throw_if_failed("cannot start the workers (lower --workers)");
  if (failure) std::rethrow_exception(failure);
}

void scheduler::run_worker(unsigned i, start_gate& together) {
  worker& here = *workers_[i];
  pinned_thread place(options_.pin ? place_of(i, cpus_) : std::nullopt);
  detail::thread_worker = &here;
  if (options_.polls == reactor::per_worker) {
    if (auto made = options_.make_driver(timers_, here.count())) {
      own_[i] = std::move(*made);
      here.use(*own_[i]);
    } else {
      together.fail(made.error());
    }
  }
  if (together.arrive()) here.run();
  (void)together.arrive();  // nobody interrupts a driver any more
  detail::thread_worker = nullptr;
}

// The thread of reactor::thread.
void scheduler::react() {
  while (!is_finished()) {
    outside_.add(counter::driver_calls);
    outside_.add(counter::events, driver_->poll(timers_.begin_sleep(0)));
    timers_.end_of_sleep();
    timers_.fire_due();
  }
}

// --- tasks ---------------------------------------------------------------------------

void scheduler::spawn(task& t) {
  worker& here = *this_worker();
  here.count().add(counter::spawns);
  here.add_live(1);
  here.push_next(t);
}

void scheduler::spawn_at(unsigned, task& t) {
  spawn(t);
}

// A woken task goes to the worker that woke it, or to all of them.
void scheduler::submit(task& t) noexcept {
  worker* here = this_worker();
  if (here && &here->owner() == this) return here->push_next(t);
  injected_.push(task_chain::of(t));  // (P1)
  wake_one();
}

void scheduler::wake(task& t) noexcept {
  if (t.state.wake() == wake_action::enqueue) submit(t);
}

void scheduler::cancel(task& t) noexcept {
  if (t.state.cancel() == wake_action::enqueue) submit(t);
}

void scheduler::release(task& t) noexcept {
  if (t.state.drop_reference() == drop_action::free_task) delete &t;
}

namespace {
// Wakes the task of a suspend() that has a deadline.
struct wait_timer : timer {
  explicit wait_timer(task& t) noexcept : timer(&on_fire), waiter(t) {}
  static time_point on_fire(timer& t, time_point) noexcept {
    task& waiter = static_cast<wait_timer&>(t).waiter;
    waiter.owner.wake(waiter);
    return never;
  }
  task& waiter;
};
}  // namespace

void scheduler::suspend(task& self, suspend_reason why, publication publish,
                        time_point deadline) {
  if (!self.is_listed) remember(self);
  if (deadline == never) return switch_out_to_wait(self, why, publish);
  wait_timer alarm(self);
  timers_.arm(alarm, deadline);
  switch_out_to_wait(self, why, publish);
  timers_.disarm(alarm);
}

// --- stopping ------------------------------------------------------------------------

// Before its first wait, so that a task which never waits pays nothing. A stop() that has
// passed this list is seen by is_cancelled() before the wait: both look under the list's
// lock.
void scheduler::remember(task& self) {
  self.home = this_worker()->index();
  self.is_listed = true;
  auto& list = live_[self.home];
  std::lock_guard lock(list.mutex);
  list.tasks.push_back(self);
  if (is_draining())
    (void)self.state.wake();  // running: it will not sleep through the stop
}

void scheduler::forget(task& t) noexcept {
  if (!t.is_listed) return;
  auto& list = live_[t.home];
  std::lock_guard lock(list.mutex);
  t.unlink();
}

void scheduler::stop(stop_mode mode) {
  stop_scope under_way(*this);
  note_stop(mode);
  for (auto& list : live_) {
    std::lock_guard lock(list.mutex);
    list.tasks.for_each([this](task& t) { wake(t); });
  }
}

// --- sleeping and finishing ----------------------------------------------------------

void scheduler::unpark(unsigned i) noexcept {
  worker* here = this_worker();
  (here ? here->count() : outside_).add(counter::wake_ups);
  if (workers_[i]->sleeper().unpark()) workers_[i]->driver().interrupt();
}

void scheduler::wake_one() noexcept {
  if (auto sleeper = idle_.wake_one()) unpark(*sleeper);
}

void scheduler::wake_one_if_work() noexcept {
  bool work = !injected_.empty();
  if (options_.steal_most > 0) {
    for (auto& w : workers_) work = work || w->has_visible_work();
  }
  if (work) wake_one();
}

bool scheduler::collect(task_chain& woken) noexcept {
  if (woken.empty()) return false;
  injected_.push(std::exchange(woken, {}));
  return true;
}

void scheduler::watch() noexcept {
  if (idle_.unparked() == workers()) return;
  if (!turn_.try_lock()) return;  // somebody has taken it over
  turn_.unlock();  // before anybody is asked: who looks must find it free
  if (is_watched_.exchange(true)) return;
  auto sleeper = idle_.pick_sleeper([this](unsigned i) { workers_[i]->ask_to_watch(); });
  sleeper ? unpark(*sleeper) : watched();
}

// A worker's live_delta is its own to write; once nobody is unparked they all stand still
// and, by the RMWs on the idle word, are visible here. The epoch shows that nobody was
// unparked while they were read.
void scheduler::finish_if_done(std::uint32_t epoch) noexcept {
  if (live_tasks() != 0 || !idle_.still_nobody_unparked(epoch)) return;
  finished_.store(true);
  for (auto& w : workers_) {
    if (w->sleeper().unpark()) w->driver().interrupt();
  }
}

// --- what it is ----------------------------------------------------------------------

driver& scheduler::io() noexcept {
  return this_worker()->driver();
}

counters& scheduler::local_counters() noexcept {
  return this_worker()->count();
}

std::vector<const counters*> scheduler::all_counters() const {
  std::vector<const counters*> all;
  for (auto& w : workers_) all.push_back(&w->count());
  if (options_.polls == reactor::thread) all.push_back(&outside_);
  return all;
}

std::string scheduler::description() const {
  return fmt::format("model=stealing driver={} workers={}{}{}{}", options_.driver,
                     workers(), options_.settings.empty() ? "" : " ", options_.settings,
                     shuffle::description());
}

std::size_t scheduler::live_tasks() const noexcept {
  std::int64_t live = 0;
  for (auto& w : workers_) live += w->live_delta();
  return static_cast<std::size_t>(live);
}

std::size_t scheduler::stacks_in_use() const noexcept {
  std::size_t cached = 0;
  for (auto& w : workers_) cached += w->cached_stacks();
  return stacks_.mapped() - stacks_.available() - cached;
}

std::expected<std::unique_ptr<duel::scheduler>, std::string> make_scheduler(
    options chosen) {
  if (auto wrong = shuffle::complaint(); !wrong.empty()) return std::unexpected(wrong);
  try {
    return std::make_unique<scheduler>(std::move(chosen));
  } catch (const std::system_error& e) {
    return std::unexpected(
        fmt::format("model stealing cannot start: {} (try --model threads)", e.what()));
  }
}

}  // namespace duel::stealing
