// task_state.hpp - the life-cycle of a task in one 64-bit word.
//
//   bit  name           set while
//   0    running        a worker is inside the task's body, or the task has yielded and
//   is in
//                       a queue; the lock of the task's result
//   1    complete       the result is stored; never cleared
//   2    notified       the task is owed a run: it is in exactly one queue, or (with
//   running)
//                       will be put there when it next suspends
//   3    join_interest  a join_handle exists
//   4    join_waker     the join-waker cell holds a waker (who may touch it:
//   join_handle.hpp) 5    cancelled      somebody asked the task to finish early 6..
//   references     in units of one_reference
//
// One method per transition. Each is a single read-modify-write, so all transitions of a
// task are totally ordered; each returns what the caller must now do.
//
// References: a task that is not complete owns one reference to itself (the life
// reference), so a queue entry, a suspended operation or the live list need none. A
// join_handle holds one, a waker holds one. Whoever drops the last one frees the task.
//
// A task of a sharded scheduler is `exclusive`: every access comes from its own shard, so
// the same table runs with plain loads and stores. That difference is the price of
// atomics.
//
// The table follows Tokio's task state (tokio/src/runtime/task/state.rs); DESIGN.md
// beside this file says where fibers made it shorter. Next: task.hpp.
#pragma once

#include <cstdint>

#include "runtimes/core/config.hpp"
#include "runtimes/core/sync.hpp"

namespace duel {

enum class idle_action { none, enqueue };    // to_idle: was a wake waiting?
enum class wake_action { none, enqueue };    // wake, cancel: must the caller schedule?
enum class drop_action { none, free_task };  // was it the last reference?
struct completion {
  bool done;        // false: nobody will join, so the result must be dropped first
  bool join_waker;  // a joiner waits
};
struct detachment {
  bool drop_result, drop_waker;
};  // what a leaving join_handle must destroy

class task_state {
 public:
  static constexpr std::uint64_t running = 1, complete = 2, notified = 4,
                                 join_interest = 8, join_waker = 16, cancelled = 32,
                                 one_reference = 64;
  // A new task: in a queue, owned by itself and by its join_handle.
  static constexpr std::uint64_t start = 2 * one_reference | join_interest | notified;

  explicit task_state(bool exclusive, std::uint64_t word = start) noexcept
      : word_(word), exclusive_(exclusive) {}

  // (S1) acquire: pairs with the release half of wake(): whatever the waker wrote before
  // waking is visible to the body that now runs.
  void to_running() noexcept {
    [[maybe_unused]] auto seen = update([](auto w) { return w ^ (running | notified); });
    DUEL_ASSERT((seen & (running | complete | notified)) == notified);
  }

  // After the switch out of a task that waits. `enqueue`: a wake came meanwhile, the
  // caller puts the task at the back of its queue. `none`: another thread may already be
  // running it.
  [[nodiscard]] idle_action to_idle() noexcept {
    auto seen = update([](auto w) { return w & ~running; });
    DUEL_ASSERT((seen & (running | complete)) == running);
    return seen & notified ? idle_action::enqueue : idle_action::none;
  }

  // (S2) release: publishes the result to is_complete() and to set_join_waker()'s
  // failure. A result that nobody will join is dropped before: dropping it may wait, and
  // so belongs to a task that still runs. Refused until then; join_interest never comes
  // back.
  [[nodiscard]] completion to_complete(bool has_result) noexcept {
    auto next = [=](auto w) {
      return has_result && !(w & join_interest) ? w : w ^ (running | complete);
    };
    auto seen = update(next);
    DUEL_ASSERT((seen & (running | complete)) == running);
    return {next(seen) != seen, (seen & join_waker) != 0};
  }

  // Writes even when nothing changes: the write is what makes the waker's earlier stores
  // visible to the run that is already owed (S1).
  [[nodiscard]] wake_action wake() noexcept {
    auto seen = update([](auto w) { return w & complete ? w : w | notified; });
    return seen & (complete | notified | running) ? wake_action::none
                                                  : wake_action::enqueue;
  }

  [[nodiscard]] wake_action cancel() noexcept {
    auto seen =
        update([](auto w) { return w & complete ? w : w | cancelled | notified; });
    return seen & (complete | notified | running) ? wake_action::none
                                                  : wake_action::enqueue;
  }

  // False if the task is complete: the caller keeps its waker and reads the result.
  [[nodiscard]] bool set_join_waker() noexcept {
    return !(update([](auto w) { return w & complete ? w : w | join_waker; }) & complete);
  }

  // The completing thread has woken the joiner and hands the cell back. True if the
  // handle left meanwhile: the completing thread destroys the waker.
  [[nodiscard]] bool unset_join_waker_after_complete() noexcept {
    auto seen = update([](auto w) { return w & ~join_waker; });
    return !(seen & join_interest);
  }

  // The join_handle leaves without the result.
  [[nodiscard]] detachment drop_join_interest() noexcept {
    auto seen = update([](auto w) {
      return w & complete ? w & ~join_interest : w & ~(join_interest | join_waker);
    });
    bool done = seen & complete;
    return {done, !done || !(seen & join_waker)};
  }

  void add_reference() noexcept {
    if (exclusive_) {
      word_.store(plain() + one_reference, std::memory_order_relaxed);  // owner only
    } else {
      // relaxed: the caller already holds a reference, having one more publishes nothing.
      word_.fetch_add(one_reference, std::memory_order_relaxed);
    }
  }

  // (S3) acq_rel: every other owner's last use happens before the one that frees.
  [[nodiscard]] drop_action drop_reference() noexcept {
    auto seen = update([](auto w) { return w - one_reference; });
    DUEL_ASSERT(seen >= one_reference);
    return seen < 2 * one_reference ? drop_action::free_task : drop_action::none;
  }

  // (S2) acquire: true means the result may be read.
  [[nodiscard]] bool is_complete() const noexcept { return load() & complete; }
  [[nodiscard]] bool is_cancelled() const noexcept { return load() & cancelled; }
  [[nodiscard]] std::uint64_t word() const noexcept { return load(); }

 private:
  std::uint64_t load() const noexcept {
    return word_.load(std::memory_order_acquire);  // (S2)
  }
  // owner only: an exclusive task's word has one accessing thread.
  std::uint64_t plain() const noexcept { return word_.load(std::memory_order_relaxed); }

  // Replaces the word by next(word) and returns what it was. acq_rel makes every
  // transition both publish (S1, S2, S3 release halves) and receive.
  template <class Next>
  std::uint64_t update(Next next) noexcept {
    auto seen = plain();
    if (exclusive_) {
      word_.store(next(seen), std::memory_order_relaxed);  // owner only
      return seen;
    }
    // (S1) (S2) (S3)
    while (!word_.compare_exchange_weak(seen, next(seen), std::memory_order_acq_rel,
                                        std::memory_order_relaxed)) {  // relaxed: retried
    }
    return seen;
  }

  sync::atomic<std::uint64_t> word_;
  const bool exclusive_;
};

}  // namespace duel
