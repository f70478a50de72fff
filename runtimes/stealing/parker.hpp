// parker.hpp - where one worker sleeps: on a futex, or inside a driver.
//
// One 32-bit word: empty, asleep, polling, notified. unpark() from any thread leaves
// `notified` behind, so one that comes before the sleep cancels it. All seq_cst: the word
// is never hot.
#pragma once

#include "runtimes/core/futex.hpp"
#include "runtimes/core/sync.hpp"

namespace duel::stealing {

class parker {
 public:
  // Sleeps until unpark() or `until`. May return for no reason.
  void park(time_point until = never) noexcept {
    if (begin(asleep)) futex_wait(word_, asleep, until);
    word_.exchange(empty);  // reads: what the unparker did before is visible after
  }

  // The same inside `poll()`, which events end as well.
  template <class Poll>
  void park_in(Poll poll) noexcept {
    if (begin(polling)) poll();
    word_.exchange(empty);  // as above
  }

  // Any thread. True if the sleeper is inside its driver and the caller must interrupt
  // it.
  [[nodiscard]] bool unpark() noexcept {
    auto was = word_.exchange(notified);
    if (was == asleep) futex_wake_one(word_);
    return was == polling;
  }

 private:
  static constexpr std::uint32_t empty = 0, asleep = 1, polling = 2, notified = 3;
  bool begin(std::uint32_t as) noexcept {
    std::uint32_t expected = empty;
    return word_.compare_exchange_strong(expected, as);
  }
  sync::atomic<std::uint32_t> word_{empty};
};

}  // namespace duel::stealing
