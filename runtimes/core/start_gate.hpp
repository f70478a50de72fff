// start_gate.hpp - the threads of one run start together or not at all, and end together.
#pragma once

#include <mutex>
#include <system_error>

#include "runtimes/core/sync.hpp"

namespace duel {

class start_gate {
 public:
  explicit start_gate(unsigned threads) : gate_(threads) {}

  // Any of them, before it arrives for the first time; the first error is kept.
  void fail(std::error_code why) {
    std::lock_guard lock(mutex_);
    if (!failed_.exchange(true)) error_ = why;
  }
  // For a thread that could not be started.
  void fail_and_leave(std::error_code why) {
    fail(why);
    gate_.arrive_and_drop();
  }
  // Waits for all. After the first time: false if one has failed, then nobody runs.
  bool arrive() {
    gate_.arrive_and_wait();
    return !failed_;
  }
  // When all have ended.
  [[nodiscard]] bool has_failed() const noexcept { return failed_; }
  void throw_if_failed(const char* what) {
    if (failed_) throw std::system_error(error_, what);
  }

 private:
  sync::barrier<> gate_;
  sync::atomic<bool> failed_{false};
  sync::mutex mutex_;  // guards error_
  std::error_code error_;
};

}  // namespace duel
