#include "runtimes/stealing/worker.hpp"

#include "runtimes/core/join_handle.hpp"
#include "runtimes/stealing/scheduler.hpp"

namespace duel::stealing {

namespace {
// A pair of tasks that wake each other may use the lifo slot this often in a row.
constexpr unsigned lifo_limit = 3;
// How long tasks may wait for events because whoever polled is busy with one.
constexpr auto watch_interval = std::chrono::milliseconds(10);
}  // namespace

worker::worker(scheduler& shared, unsigned index, stack_pool& stacks)
    : shared_(shared),
      index_(index),
      stacks_(stacks),
      random_(index * 2654435761u + 1),
      order_(index) {}

void worker::run() {
  ledger_.to_busy();
  while (!shared_.is_finished()) {
    task* t = next_task();
    if (!t && shared_.chosen().spin > duration::zero()) t = spin();
    if (t) {
      run_one(
          *t);  // the only call: inlined, see core/DESIGN.md on returns after a switch
    } else {
      park();
    }
  }
  ledger_.to_busy();  // closes the book
}

// Where work comes from, nearest first.
task* worker::next_task() {
  if (--turns_to_fairness_ == 0) {
    turns_to_fairness_ = fairness_interval;
    maintain();
    if (task* t = next_injected()) return t;
  }
  if (order_.is_on()) {
    if (task* t = next_drawn()) return t;
  }
  if (task* t = next_local()) return t;
  if (task* t = next_injected()) return t;
  if (shared_.chosen().polls == reactor::per_worker && shared_.workers() > 1 &&
      driver_->has_work()) {
    maintain();  // own events before others' tasks
    if (task* t = next_local()) return t;
  }
  return steal();
}

// Shuffling: now and then another source goes first, or the own tasks change places.
// inline, so that no other build has it.
inline task* worker::next_drawn() {
  auto drawn = order_.draw(16);
  if (drawn == 0) return next_injected();
  if (drawn == 1) return steal();
  if (drawn > 5) return nullptr;
  std::vector<task*> ready;
  if (lifo_) ready.push_back(std::exchange(lifo_, nullptr));
  while (task* t = queue_.pop()) ready.push_back(t);
  order_.arrange(ready);
  for (task* t : ready) push_to_queue(*t);
  if (ready.size() > 1) offer_work();
  return nullptr;
}

task* worker::next_local() {
  if (task* t = std::exchange(lifo_, nullptr)) {
    if (lifo_run_++ < lifo_limit) {
      counters_.add(counter::lifo_hits);
      return t;
    }
    push_to_queue(*t);
  }
  lifo_run_ = 0;
  return queue_.pop();
}

// One task to run and a fair share of the rest into the own queue, under one lock.
task* worker::next_injected() {
  auto& inject = shared_.injected();
  std::size_t waiting = inject.size();
  if (waiting == 0) return nullptr;
  std::size_t share = waiting / shared_.workers() + 1;
  share = std::min<std::size_t>(share, queue_.room() / 2 + 1);
  task_chain batch = inject.pop(shared_.chosen().global_queue ? 1 : share);
  counters_.add(counter::inject_pops, batch.size());
  task* first = batch.pop();
  while (task* t = batch.pop()) push_to_queue(*t);
  return first;
}

// One sweep over the others, from a random one on.
task* worker::steal() {
  if (shared_.chosen().steal_most == 0) return nullptr;
  if (!searching_) {
    if (!shared_.idle().to_searching()) return nullptr;
    searching_ = true;
    ledger_.to_searching();
  }
  unsigned n = shared_.workers();
  random_ ^= random_ << 13, random_ ^= random_ >> 17, random_ ^= random_ << 5;
  for (unsigned i = 0; i < n; ++i) {
    unsigned victim = (random_ + i) % n;
    if (victim == index_) continue;
    counters_.add(counter::steal_attempts);
    auto took =
        shared_.worker_at(victim).queue().steal_into(queue_, shared_.chosen().steal_most);
    if (!took.first) continue;
    counters_.add(counter::steals);
    counters_.add(counter::stolen, took.count);
    return took.first;
  }
  return next_injected();
}

void worker::run_one(task& t) {
  was_woken_ = false;
  if (std::exchange(searching_, false)) {
    ledger_.to_busy();
    if (shared_.idle().to_working()) shared_.wake_one();
  }
  counters_.add(counter::polls);
  step_end end = run_step(t, stacks_, order_.budget(shared_.chosen().budget));
  ledger_.count_step();
  switch (end) {
    case step_end::finished:
      shared_.forget(t);
      shared_.release(t);
      add_live(-1);
      break;
    case step_end::queued:
      push_back(t);
      break;
    case step_end::waiting:
      break;
  }
}

void worker::push_next(task& t) {
  if (collecting_) {  // events are served in their order
    if (shared_.chosen().global_queue) return collected_.push(t);
    return push_to_queue(t);
  }
  if (!shared_.chosen().lifo) {
    push_to_queue(t);
    return offer_work();
  }
  task* displaced = std::exchange(lifo_, &t);
  if (!displaced) return;
  push_to_queue(*displaced);
  offer_work();
}

void worker::push_back(task& t) {
  bool others_wait = shared_.workers() > 1 && (lifo_ || !queue_.empty());
  push_to_queue(t);
  if (others_wait) offer_work();
}

void worker::push_to_queue(task& t) {
  task_chain to_all = shared_.chosen().global_queue ? task_chain::of(t) : queue_.push(t);
  if (to_all.empty()) return;
  if (!shared_.chosen().global_queue) counters_.add(counter::overflow, to_all.size());
  shared_.injected().push(to_all);
  if (shared_.workers() > 1) shared_.wake_one();  // (P1)
}

// (P1) a task has been pushed where others can take it.
void worker::offer_work() {
  if (shared_.workers() > 1 && shared_.chosen().steal_most > 0) shared_.wake_one();
}

// Without any work: keeps looking for a while instead of going to sleep.
task* worker::spin() {
  ledger_.to_searching();
  task* found = nullptr;
  for (auto end = clock::now() + shared_.chosen().spin; !found && clock::now() < end;) {
    maintain();
    found = next_task();
  }
  if (found) ledger_.to_busy();
  return found;
}

// A worker that does not sleep still serves its driver and the clock now and then.
void worker::maintain() {
  if (shared_.chosen().polls == reactor::thread) return;
  std::unique_lock turn(shared_.turn(), std::try_to_lock);
  bool is_mine = turn || shared_.chosen().polls == reactor::per_worker;
  collecting_ = true;
  if (is_mine && driver_->has_work()) poll(at_once);
  shared_.clock_work().fire_due();
  collecting_ = false;
  bool is_without_poller = turn && shared_.chosen().steal_most == 0;
  if (turn) turn.unlock();
  if (shared_.collect(collected_)) {
    shared_.wake_one();  // (P1)
  } else if (!queue_.empty()) {
    is_without_poller ? shared_.wake_one() : offer_work();
  }
}

void worker::park() {
  if (std::exchange(was_woken_, false)) counters_.add(counter::spurious);
  auto left = shared_.idle().to_parked(index_, std::exchange(searching_, false));
  if (left.nobody_searches) shared_.wake_one_if_work();  // (W2)
  if (left.nobody_unparked) shared_.finish_if_done(left.epoch);
  for (;;) {
    if (shared_.is_finished()) return;
    bool had_turn = sleep_once();
    bool has_work = shared_.collect(collected_) || !queue_.empty();
    auto kind = shared_.idle().to_unparked(index_, has_work);
    if (kind == parking::wake_kind::stay_parked) continue;
    if (watches_.exchange(false)) shared_.watched();  // it has other things to do
    ledger_.to_busy();
    searching_ = was_woken_ = kind == parking::wake_kind::woken;
    if (searching_) ledger_.to_searching();
    if (queue_.size() > 1) {  // more than this worker runs next
      offer_work();
    } else if (shared_.injected().size() > 1) {
      shared_.wake_one();
    } else if (had_turn) {
      shared_.watch();
    }
    if (had_turn && shared_.chosen().steal_most == 0) shared_.wake_one();  // to poll
    return;
  }
}

// One sleep, on the futex or in the driver. True: it was this worker's turn to poll for
// all, or to keep the clock for all, and now it is nobody's.
bool worker::sleep_once() {
  counters_.add(counter::parks);
  ledger_.to_idle();
  bool was_asked = watches_.exchange(false);
  bool watches = was_asked && shared_.idle().unparked() > 0;  // else it polls itself
  if (was_asked && !watches) shared_.watched();
  auto until = watches ? clock::now() + watch_interval : never;
  auto polls = shared_.chosen().polls;
  std::unique_lock turn(shared_.turn(), std::defer_lock);
  if (polls != reactor::thread && !watches) (void)turn.try_lock();
  collecting_ = true;
  if (turn) {
    sleeper_.park_in([&] {
      poll(shared_.clock_work().begin_sleep(index_));
      shared_.clock_work().end_of_sleep();
      shared_.clock_work().fire_due();
    });
  } else if (polls == reactor::per_worker) {
    sleeper_.park_in([&] { poll(until); });
  } else {
    sleeper_.park(until);
  }
  collecting_ = false;
  if (watches) shared_.watched();
  return turn.owns_lock();
}

void worker::poll(time_point deadline) {
  counters_.add(counter::driver_calls);
  counters_.add(counter::events, driver_->poll(deadline));
}

}  // namespace duel::stealing
