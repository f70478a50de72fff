// parker.hpp - where one worker sleeps: on a futex, or inside the driver if nobody else
// is there.
//
// One 32-bit word: empty, asleep, polling, notified. unpark() from any thread leaves
// `notified` behind, so one that comes before the sleep cancels it. All seq_cst: the word
// is never hot.
#pragma once

#include <atomic>
#include <mutex>

#include "runtimes/core/futex.hpp"

namespace duel::stealing {

class parker {
 public:
  // Sleeps until unpark(). If nobody holds `driver_turn`, this thread takes it and sleeps
  // in poll() instead, which events end as well. May return for no reason.
  template <class Poll>
  void park(std::mutex& driver_turn, Poll poll) noexcept {
    if (word_.exchange(empty) == notified) return;
    std::unique_lock turn(driver_turn, std::try_to_lock);
    std::uint32_t expected = empty;
    if (word_.compare_exchange_strong(expected, turn ? polling : asleep)) {
      if (turn) poll();
      while (word_.load() == asleep) futex_wait(word_, asleep);
    }
    word_.exchange(empty);  // reads: what the unparker did before is visible after
  }

  // Any thread. True if the sleeper is inside the driver and the caller must interrupt
  // it.
  [[nodiscard]] bool unpark() noexcept {
    auto was = word_.exchange(notified);
    if (was == asleep) futex_wake_one(word_);
    return was == polling;
  }

 private:
  static constexpr std::uint32_t empty = 0, asleep = 1, polling = 2, notified = 3;
  std::atomic<std::uint32_t> word_{empty};
};

}  // namespace duel::stealing
