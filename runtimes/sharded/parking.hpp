// parking.hpp - how a shard goes to sleep without missing mail: two bits in one word.
//
//   idle      the owner sleeps in its driver, or is about to
//   notified  mail may have arrived since the owner last looked
//
// The owner calls take_notice, begin_sleep and end_sleep; whoever has put mail where the
// owner finds it calls notify. No wake-up is lost because both sides change the same
// word, whose changes have one order: a notify() that comes before begin_sleep() makes it
// fail, one that comes after sees `idle` and rings. It rings once a sleep: the second one
// sees `notified`. (compio's latch: AWAKE, IDLE, NOTIFIED.)
#pragma once

#include <cstdint>

#include "runtimes/core/config.hpp"
#include "runtimes/core/sync.hpp"

namespace duel::sharded {

class parking {
 public:
  // Any thread. True: the caller must ring the owner's doorbell.
  // (M2) release: the mail in place before is visible to the owner that takes the notice.
  // (M4) acquire: seeing `idle`, the caller may use the owner's driver.
  [[nodiscard]] bool notify() noexcept {
    return word_.fetch_or(notified, std::memory_order_acq_rel) == idle;
  }

  // True: look for mail.
  [[nodiscard]] bool take_notice() noexcept {
    if (!has_notice()) return false;
    word_.fetch_and(~notified, std::memory_order_acquire);  // (M2) pairs with notify()
    return true;
  }

  [[nodiscard]] bool has_notice() const noexcept {
    // relaxed: a notice missed here makes begin_sleep() fail, or is seen a turn later.
    return word_.load(std::memory_order_relaxed) & notified;
  }

  // False: a notice has come, do not sleep.
  [[nodiscard]] bool begin_sleep() noexcept {
    std::uint32_t expected = 0;
    // release: pairs with notify(), whose caller uses the driver to ring the doorbell;
    // relaxed on failure: mail is read after a notice has been taken. (M4)
    return word_.compare_exchange_strong(
        expected, idle, std::memory_order_release,
        std::memory_order_relaxed);  // relaxed: see above
  }

  void end_sleep() noexcept {
    word_.fetch_and(~idle, std::memory_order_relaxed);  // relaxed: publishes nothing
  }

 private:
  static constexpr std::uint32_t idle = 1, notified = 2;
  alignas(no_sharing) sync::atomic<std::uint32_t> word_{0};
};

}  // namespace duel::sharded
