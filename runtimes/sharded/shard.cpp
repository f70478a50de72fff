// shard.cpp - the loop of a shard, its tasks' steps, and how it finds out that all is
// over.
//
// All of it runs on the shard's own thread and on its scheduler's stack. Mail: mail.cpp.
#include "runtimes/sharded/shard.hpp"

#include "runtimes/core/join_handle.hpp"
#include "runtimes/core/step.hpp"

namespace duel::sharded {

constinit thread_local shard* this_shard = nullptr;

namespace {
// How soon a shard looks again when another one was slow to empty its mailbox.
constexpr auto mail_retry = std::chrono::microseconds(100);
}  // namespace

cluster::cluster(unsigned size) {
  for (unsigned i = 0; i < size; ++i) {
    shards.push_back(std::make_unique<shard>(*this, i, size));
  }
}
cluster::~cluster() = default;

shard::shard(cluster& of, unsigned i, unsigned size)
    : all(of),
      index(i),
      order_(i),
      stacks_(std::make_unique<stack_cache>(of.stacks)),
      outbox_(size),
      from_(new mailbox[size]) {}

// The loop. One system call a turn: the one that hands over what the tasks submitted and
// waits for what they wait for.
void shard::run() noexcept {
  ledger_.to_busy();
  while (take_mail()) {  // other shards first: they are waiting for us
    fire_timers();
    run_ready();
    settle();
    submit_and_wait();  // completions make tasks ready for the next turn
  }
  poll(at_once);      // it may have to say that a doorbell was not heard
  ledger_.to_busy();  // books what has passed since
}

// Those that are ready now, or as many as fit in a turn; whoever becomes ready meanwhile
// has its turn after the kernel's.
void shard::run_ready() noexcept {
  auto n = ready_.size();
  if (n == 0) return;
  if (order_.is_on()) n = shuffle_ready();
  if (n > 1) turn_.begin(n);
  std::size_t done = 0;
  do {
    step(ready_.pop());
    ledger_.count_step();
  } while (++done < n && !turn_.is_over());
  counters_.add(counter::polls, done);
}

// How many of them have their turn now. inline, so that only builds that shuffle have it.
inline std::size_t shard::shuffle_ready() noexcept {
  std::vector<task*> ready;
  while (!ready_.empty()) ready.push_back(&ready_.pop());
  order_.arrange(ready);
  for (task* t : ready) ready_.push(*t);
  return 1 + order_.draw(ready.size());
}

void shard::step(task& t) noexcept {
  switch (run_step(t, *stacks_, order_.budget(all.budget))) {
    case step_end::finished:
      t.unlink();
      live_count_.store(live() - 1, std::memory_order_relaxed);  // owner only
      release(t);
      break;
    case step_end::queued:
      ready_.push(t);
      break;
    case step_end::waiting:
      break;
  }
}

void shard::submit_and_wait() noexcept {
  // Beside ready tasks the driver is asked only if a look at its memory says it has
  // something: a task that yields in a loop pays no system call.
  if (!ready_.empty()) {
    if (driver_->has_work()) poll(at_once);
    return;
  }
  time_point until = wheel_.next_event();
  if (holds_work_ && (waiting_ > 0 || live() == 0)) {
    until = std::min(until, clock::now() + mail_retry);
  }
  if (all.spin == duration::zero() || !spin(until)) sleep(until);
}

// True: there is something to do.
bool shard::spin(time_point until) noexcept {
  ledger_.to_searching();
  auto now = clock::now();
  bool found = false;
  for (auto end = now + all.spin; !found && now < end; now = clock::now()) {
    if (driver_->has_work()) poll(at_once);
    found = !ready_.empty() || parking_.has_notice() || now >= until;
  }
  ledger_.to_busy();
  return found;
}

void shard::sleep(time_point until) noexcept {
  if (!parking_.begin_sleep()) return;
  counters_.add(counter::parks);
  ledger_.to_idle();
  auto events = poll(until);
  parking_.end_sleep();
  ledger_.to_busy();
  if (events == 0 && ready_.empty() && !parking_.has_notice() && clock::now() < until) {
    counters_.add(counter::spurious);
  }
}

unsigned shard::poll(time_point deadline) noexcept {
  counters_.add(counter::driver_calls);
  auto events = driver_->poll(deadline);
  if (events > 0) counters_.add(counter::events, events);
  return events;
}

// --- tasks
// -------------------------------------------------------------------------------

void shard::admit(task& t) noexcept {
  hold_work();
  t.home = index;
  live_.push_back(t);
  t.is_listed = true;
  live_count_.store(live() + 1, std::memory_order_relaxed);  // owner only
  ready_.push(t);
}

void shard::wake_all() noexcept {
  live_.for_each([this](task& t) { wake(t); });
}

// A wake or cancel that another thread has sent may still be on its way to a task whose
// last reference is gone. Its sender counted it while holding a reference of its own, so
// whoever dropped the last one sees the count.
void shard::release(task& t) noexcept {
  if (t.state.drop_reference() == drop_action::none) return;
  // relaxed: ordered by the reference, see above.
  if (t.messages.load(std::memory_order_relaxed) == 0) delete &t;
}

void shard::message_arrived(task& t) noexcept {
  // relaxed: the mailbox orders the sender's increment before this.
  auto before = t.messages.fetch_sub(1, std::memory_order_relaxed);
  if (before == 1 && t.state.word() < task_state::one_reference) delete &t;
}

// --- the end of the run: DESIGN.md, "When run() ends"
// --------------------------------------

void shard::hold_work() noexcept {
  if (holds_work_) return;
  holds_work_ = true;
  all.busy.fetch_add(1);
}

void shard::settle() noexcept {
  spare_stacks_.store(stacks_->size(), std::memory_order_relaxed);  // owner only
  if (waiting_ > 0) send_waiting();
  if (live() == 0 && holds_work_) drop_work_if_done();
}

void shard::drop_work_if_done() noexcept {
  if (waiting_ > 0) return;
  for (auto& other : all.shards) {
    if (other.get() != this && !other->from_[index].all_handled()) return;
  }
  holds_work_ = false;
  if (all.busy.fetch_sub(1) > 1) return;
  all.over.store(true);
  for (auto& each : all.shards) {
    if (!each->parking_.notify()) continue;
    counters_.add(counter::wake_ups);
    each->driver_->interrupt();
  }
}

void shard::close() {
  stacks_.reset();
  spare_stacks_.store(0, std::memory_order_relaxed);  // owner only
  std::lock_guard lock(inbox_mutex_);  // a thread outside may be ringing the doorbell
  driver_.reset();
}

}  // namespace duel::sharded
