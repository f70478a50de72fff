// signal.hpp - SIGTERM, SIGINT and SIGHUP as a drain: the scheduler's tasks finish what
// they do.
//
// Construct it before the scheduler runs (the signals must be blocked before threads
// start); a thread of its own waits for them. The first one drains; the second, or the
// end of `patience`, cuts. SIGPIPE and SIGXFSZ are ignored: a write to a closed
// connection, or to a file that may not grow, is an error code.
#pragma once

#include <atomic>
#include <thread>

#include "runtimes/core/scheduler.hpp"

namespace duel {

class stop_on_signal {
 public:
  stop_on_signal(scheduler& target, duration patience);
  ~stop_on_signal();

  [[nodiscard]] bool was_signalled() const noexcept { return signalled_.load(); }
  [[nodiscard]] bool was_cut() const noexcept { return cut_.load(); }

 private:
  void watch(duration patience);

  scheduler& target_;
  std::atomic<bool> signalled_{false};
  std::atomic<bool> cut_{false};
  std::atomic<bool> over_{false};
  std::thread watcher_;
};

}  // namespace duel
