// parking.hpp - who sleeps, who searches, and why no task is left behind.
//
// `idle_` is one word:  searching (16 bits) | unparked (16 bits) | epoch (32 bits).
// A worker is parked, or unparked; an unparked one may be searching (it has nothing to
// run and looks into the others' queues). At most half of the workers search at once.
//
//   producer                             sleeper
//   (P1) push a task                     (W1) idle_ -= own share           an RMW
//   (P2) idle_ += 0            an RMW    (W2) nobody searches any more:
//        nobody searching, somebody           look at every queue again;
//        parked: wake one                     found something: wake one
//
// The two RMWs on one word are ordered. If (W1) comes first, the producer sees nobody
// searching and wakes somebody; if (P2) comes first, the push (P1) is visible to (W2).
// So: a task in a queue that others may take implies that all workers run, or that one
// searches or has been woken and not yet looked. A plain load in place of (P2) loses
// wake-ups (tokio#1788). In Tokio only the last searcher looks again (W2); a worker that
// was not let search, because another one did, would go to sleep beside a task whose
// worker burns CPU.
//
// Between these, chains instead of herds: one worker is woken at a time and starts out
// searching; a searcher that finds work and was the last wakes the next.
//
// Any thread may call wake_one(); the rest is each worker's own. The protocol is Tokio's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "runtimes/core/config.hpp"
#include "runtimes/core/sync.hpp"

namespace duel::stealing {

class parking {
 public:
  explicit parking(unsigned workers) : workers_(workers), idle_(workers * one_unparked) {
    sleepers_.reserve(workers);
  }

  // After a push. The worker to unpark, if one must be; it counts as unparked and
  // searching.
  [[nodiscard]] std::optional<unsigned> wake_one() noexcept {
    if (!must_wake(idle_.fetch_add(0, std::memory_order_seq_cst))) return {};  // (P2)
    std::lock_guard lock(mutex_);
    if (!must_wake(idle_.fetch_add(0, std::memory_order_seq_cst))) return {};
    if (sleepers_.empty()) return {};
    unsigned worker = sleepers_.back();
    sleepers_.pop_back();
    idle_.fetch_add(one_searching + one_unparked + one_epoch, std::memory_order_seq_cst);
    return worker;
  }

  struct parked {
    bool nobody_searches;  // it must look at every queue again (W2)
    bool nobody_unparked;  // it may ask whether the run is over
    std::uint32_t epoch;   // for still_nobody_unparked()
  };
  [[nodiscard]] parked to_parked(unsigned worker, bool searching) noexcept {
    std::lock_guard lock(mutex_);
    sleepers_.push_back(worker);
    std::uint64_t share = one_unparked + (searching ? one_searching : 0);
    auto left = idle_.fetch_sub(share, std::memory_order_seq_cst) - share;  // (W1)
    return {searching_in(left) == 0, unparked_in(left) == 0, epoch_in(left)};
  }

  // True if no worker was unparked since to_parked() returned this epoch: what the
  // workers wrote before they parked is all there is.
  [[nodiscard]] bool still_nobody_unparked(std::uint32_t epoch) const noexcept {
    auto word = idle_.load(std::memory_order_seq_cst);
    return unparked_in(word) == 0 && epoch_in(word) == epoch;
  }

  // The worker comes out of its sleep. `woken`: wake_one() chose it, it counts as
  // searching. Else it goes on only if events gave it tasks (`has_work`).
  enum class wake_kind { stay_parked, unparked_by_itself, woken };
  [[nodiscard]] wake_kind to_unparked(unsigned worker, bool has_work) noexcept {
    std::lock_guard lock(mutex_);
    auto at = std::find(sleepers_.begin(), sleepers_.end(), worker);
    if (at == sleepers_.end()) return wake_kind::woken;
    if (!has_work) return wake_kind::stay_parked;
    sleepers_.erase(at);
    idle_.fetch_add(one_unparked + one_epoch, std::memory_order_seq_cst);
    return wake_kind::unparked_by_itself;
  }

  // False if enough others search already.
  [[nodiscard]] bool to_searching() noexcept {
    auto word = idle_.load(std::memory_order_seq_cst);
    if (2 * searching_in(word) >= workers_) return false;
    idle_.fetch_add(one_searching,
                    std::memory_order_seq_cst);  // the limit may be passed by
    return true;                                 // a race: it is a throttle
  }

  // The worker found something. True if it was the last searcher: it must call
  // wake_one(), for the queue it found may hold more.
  [[nodiscard]] bool to_working() noexcept {
    auto before = idle_.fetch_sub(one_searching, std::memory_order_seq_cst);
    return searching_in(before) == 1;
  }

  // Some worker that sleeps; it stays parked. `tell(worker)` is done before it can leave
  // its sleep. None: all are awake.
  template <class Tell>
  [[nodiscard]] std::optional<unsigned> pick_sleeper(Tell tell) const noexcept {
    std::lock_guard lock(mutex_);
    if (sleepers_.empty()) return {};
    tell(sleepers_.back());
    return sleepers_.back();
  }

  [[nodiscard]] unsigned searching() const noexcept { return searching_in(idle_.load()); }
  [[nodiscard]] unsigned unparked() const noexcept { return unparked_in(idle_.load()); }

 private:
  static constexpr std::uint64_t one_searching = 1, one_unparked = 1 << 16,
                                 one_epoch = std::uint64_t{1} << 32;
  static unsigned searching_in(std::uint64_t w) noexcept { return w & 0xffff; }
  static unsigned unparked_in(std::uint64_t w) noexcept { return w >> 16 & 0xffff; }
  static std::uint32_t epoch_in(std::uint64_t w) noexcept {
    return static_cast<std::uint32_t>(w >> 32);
  }
  bool must_wake(std::uint64_t w) const noexcept {
    return searching_in(w) == 0 && unparked_in(w) < workers_;
  }

  const unsigned workers_;
  alignas(no_sharing) sync::atomic<std::uint64_t> idle_;
  mutable sync::mutex mutex_;       // orders changes of sleepers_ with those of idle_
  std::vector<unsigned> sleepers_;  // guarded by mutex_
};

}  // namespace duel::stealing
