// shard.hpp - one thread and everything that is local to it: tasks, timers, driver,
// stacks.
//
// Everything here belongs to the shard's thread except notify(), post_from_outside() and
// the three counts. Other shards reach it through the mailboxes that they write and it
// reads; other threads through the inbox. Next: shard.cpp.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "runtimes/core/counters.hpp"
#include "runtimes/core/polled_driver.hpp"
#include "runtimes/core/shuffle.hpp"
#include "runtimes/core/step.hpp"
#include "runtimes/core/sync.hpp"
#include "runtimes/core/ticks.hpp"
#include "runtimes/core/time_ledger.hpp"
#include "runtimes/core/timer_wheel.hpp"
#include "runtimes/sharded/mailbox.hpp"
#include "runtimes/sharded/parking.hpp"
#include "runtimes/sharded/run_queue.hpp"
#include "runtimes/sharded/turn_limit.hpp"

namespace duel::sharded {

// What the shards of one scheduler share.
struct cluster {
  explicit cluster(unsigned size);
  ~cluster();

  stack_pool stacks;
  std::uint16_t budget = default_budget;
  duration spin{};  // polled without sleeping for so long before a sleep
  std::vector<std::unique_ptr<shard>> shards;

  // Shards that have a task, or have sent something that is not yet handled. Seq_cst.
  alignas(no_sharing) sync::atomic<unsigned> busy{0};
  alignas(no_sharing) sync::atomic<bool> over{false};  // `busy` has come to zero
};

class shard final : public timer_service {
 public:
  shard(cluster& all, unsigned index, unsigned size);

  // --- the shard's thread: life --------------------------------------------------------
  void open(std::unique_ptr<polled_driver> d) noexcept { driver_ = std::move(d); }
  void run() noexcept;  // returns once the cluster is over
  void close();         // after every shard's run()

  // --- the shard's thread: tasks of this shard
  // -------------------------------------------
  void admit(task& t) noexcept;  // a new one
  void wake(task& t) noexcept {
    if (t.state.wake() == wake_action::enqueue) ready_.push(t);
  }
  void cancel(task& t) noexcept {
    if (t.state.cancel() == wake_action::enqueue) ready_.push(t);
  }
  void wake_all() noexcept;
  void release(task& t) noexcept;
  void message_arrived(task& t) noexcept;  // one of task::messages has been handled

  void arm(timer& t, time_point when) noexcept override {
    wheel_.remove(t);
    wheel_.insert(t, when);
  }
  void disarm(timer& t) noexcept override { wheel_.remove(t); }

  // Sends to another shard. Never waits, never loses.
  void post(shard& to, message m) noexcept;
  // Handles all mail there is and sends what waits to be sent. True if there was any
  // mail.
  bool deliver_mail() noexcept;

  [[nodiscard]] polled_driver& driver() noexcept { return *driver_; }
  [[nodiscard]] counters& counts() noexcept { return counters_; }

  // --- any thread ----------------------------------------------------------------------
  void post_from_outside(message m) noexcept;
  void notify() noexcept;  // from a thread that knows the driver exists
  [[nodiscard]] const counters& counts() const noexcept { return counters_; }
  [[nodiscard]] std::size_t live() const noexcept {
    return live_count_.load(std::memory_order_relaxed);  // relaxed: a statistic
  }
  [[nodiscard]] std::size_t spare_stacks() const noexcept {
    return spare_stacks_.load(std::memory_order_relaxed);  // relaxed: a statistic
  }

  cluster& all;
  const unsigned index;

 private:
  // False once the run is over. Whoever ends it stores `over` before giving notice, so a
  // notice that is taken here is never the one that `over` was missed with.
  bool take_mail() noexcept {
    if (parking_.take_notice()) deliver_mail();
    return !all.over.load();
  }
  void fire_timers() noexcept {
    if (!wheel_.empty()) wheel_.advance(clock::now());
  }
  void run_ready() noexcept;
  std::size_t shuffle_ready() noexcept;
  void step(task& t) noexcept;
  void settle() noexcept;
  void submit_and_wait() noexcept;
  [[nodiscard]] bool spin(time_point until) noexcept;
  void sleep(time_point until) noexcept;
  unsigned poll(time_point deadline) noexcept;
  void time_message(const message& m) noexcept;
  void hold_work() noexcept;
  void drop_work_if_done() noexcept;
  bool send_waiting() noexcept;
  void ring_after_mail(shard& to) noexcept;

  run_queue ready_;
  turn_limit turn_;
  [[no_unique_address]] shuffle order_;
  intrusive_list<task> live_;  // every task of this shard that is not complete
  sync::atomic<std::size_t> live_count_{0};  // written by the owner
  bool holds_work_ = false;                  // counted in cluster::busy
  std::size_t waiting_ = 0;                  // messages in outbox_
  counters counters_;
  time_ledger ledger_{counters_};
  tick_scale scale_;
  timer_wheel wheel_{clock::now()};
  std::unique_ptr<stack_cache> stacks_;
  sync::atomic<std::size_t> spare_stacks_{0};  // written by the owner
  std::unique_ptr<polled_driver> driver_;  // made and destroyed by the owner; see close()

  std::vector<std::deque<message>> outbox_;  // [to]: found the mailbox full, in order
  std::unique_ptr<mailbox[]> from_;          // [from]: filled by that shard

  parking parking_;
  sync::mutex inbox_mutex_;     // guards inbox_, and driver_ against close()
  std::vector<message> inbox_;  // from threads that are no shard
};

// The shard whose thread this is, or null. Tasks of a shard never change threads, so its
// address may be kept across a wait.
extern constinit thread_local shard* this_shard;

}  // namespace duel::sharded
