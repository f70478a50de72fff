#include "runtimes/stealing/worker.hpp"

#include "runtimes/core/join_handle.hpp"
#include "runtimes/stealing/scheduler.hpp"

namespace duel::stealing {

namespace {
// A pair of tasks that wake each other may use the lifo slot this often in a row.
constexpr unsigned lifo_limit = 3;
}  // namespace

worker::worker(scheduler& shared, unsigned index, stack_pool& stacks)
    : shared_(shared), index_(index), stacks_(stacks), random_(index * 2654435761u + 1) {}

void worker::run() {
  while (!shared_.is_finished()) {
    if (task* t = next_task()) {
      run_one(*t);
    } else {
      park();
    }
  }
}

// Where work comes from, nearest first.
task* worker::next_task() {
  if (--turns_to_fairness_ == 0) {
    turns_to_fairness_ = fairness_interval;
    maintain();
    if (task* t = next_injected()) return t;
  }
  if (task* t = next_local()) return t;
  if (task* t = next_injected()) return t;
  return steal();
}

task* worker::next_local() {
  if (task* t = std::exchange(lifo_, nullptr)) {
    if (lifo_run_++ < lifo_limit) return t;
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
  task_chain batch = inject.pop(std::min<std::size_t>(share, queue_.room() / 2 + 1));
  task* first = batch.pop();
  while (task* t = batch.pop()) push_to_queue(*t);
  return first;
}

task* worker::steal() {
  if (!searching_ && !(searching_ = shared_.idle().to_searching())) return nullptr;
  unsigned n = shared_.workers();
  random_ ^= random_ << 13, random_ ^= random_ >> 17, random_ ^= random_ << 5;
  for (unsigned i = 0; i < n; ++i) {
    unsigned victim = (random_ + i) % n;
    if (victim == index_) continue;
    auto took = shared_.worker_at(victim).queue().steal_into(queue_);
    if (!took.first) continue;
    counters_.add(counter::steals);
    counters_.add(counter::stolen, took.count);
    return took.first;
  }
  return next_injected();
}

void worker::run_one(task& t) {
  if (std::exchange(searching_, false) && shared_.idle().to_working()) shared_.wake_one();
  counters_.add(counter::polls);
  switch (run_step(t, stacks_, shared_.budget())) {
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
  if (collecting_) return push_to_queue(t);  // events are served in their order
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
  task_chain spilled = queue_.push(t);
  if (!spilled.empty()) shared_.injected().push(spilled);
}

// (P1) a task has been pushed where others can take it.
void worker::offer_work() {
  if (shared_.workers() > 1) shared_.wake_one();
}

// A worker that never runs dry still serves the driver and the clock now and then.
void worker::maintain() {
  collecting_ = true;
  if (shared_.events().has_work()) {
    std::unique_lock turn(shared_.driver_turn(), std::try_to_lock);
    if (turn) shared_.events().poll(at_once);
  }
  shared_.clock_work().fire_due();
  collecting_ = false;
  if (!queue_.empty()) offer_work();
}

void worker::park() {
  auto left = shared_.idle().to_parked(index_, std::exchange(searching_, false));
  if (left.last_searcher) shared_.wake_one_if_work();  // (W2)
  if (left.nobody_unparked) shared_.finish_if_done(left.epoch);
  for (;;) {
    if (shared_.is_finished()) return;
    counters_.add(counter::parks);
    sleep_once();
    auto kind = shared_.idle().to_unparked(index_, !queue_.empty());
    searching_ = kind == parking::wake_kind::woken;
    if (kind == parking::wake_kind::stay_parked) continue;
    if (queue_.size() > 1) offer_work();  // more than this worker runs next
    return;
  }
}

void worker::sleep_once() {
  collecting_ = true;
  sleeper_.park(shared_.driver_turn(), [this] {
    shared_.events().poll(shared_.clock_work().begin_sleep());
    shared_.clock_work().end_of_sleep();
    shared_.clock_work().fire_due();
  });
  collecting_ = false;
}

}  // namespace duel::stealing
