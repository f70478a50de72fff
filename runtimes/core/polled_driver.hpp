// polled_driver.hpp - a driver whose events are collected by whichever thread polls it.
//
// The fiber schedulers poll: a sharded shard its own, a stealing worker the shared one
// when it has nothing else to do. One thread polls at a time.
#pragma once

#include "runtimes/core/driver.hpp"

namespace duel {

class polled_driver : public driver {
 public:
  // Submits what is waiting to be submitted, then waits for events, for interrupt(), or
  // until `deadline` (time_point::min(): does not wait), and wakes the tasks concerned.
  // How many events or completions it handed out; if there are more, the next poll does
  // not wait.
  virtual unsigned poll(time_point deadline) noexcept = 0;

  // Any thread: the poll under way, or else the next one, does not wait.
  virtual void interrupt() noexcept = 0;
  // The same from the thread of `sender`, a driver of the same kind, which may know a
  // shorter way.
  virtual void interrupt_from(polled_driver& /*sender*/) noexcept { interrupt(); }

  // True if a poll now could find something: polling an idle driver is a wasted system
  // call.
  [[nodiscard]] virtual bool has_work() const noexcept = 0;
};

// poll() without waiting.
inline constexpr time_point at_once = time_point::min();

}  // namespace duel
