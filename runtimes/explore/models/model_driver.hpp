// model_driver.hpp - a driver whose kernel is the model: events are posted by its
// threads.
//
// Carries out no operations; tasks of a model wait with suspend() and an event wakes one.
#pragma once

#include <mutex>
#include <vector>

#include "runtimes/core/futex.hpp"
#include "runtimes/core/polled_driver.hpp"
#include "runtimes/core/waker.hpp"

namespace duel::models {

class model_driver final : public polled_driver {
 public:
  unsigned poll(time_point deadline) noexcept override {
    if (deadline != at_once) futex_wait(bell_, 0, deadline);
    bell_.exchange(0);
    std::vector<waker> ready;
    {
      std::lock_guard lock(mutex_);
      ready.swap(events_);
    }
    for (auto& each : ready) std::move(each).wake();
    return static_cast<unsigned>(ready.size());
  }
  void interrupt() noexcept override {
    bell_.exchange(1);
    futex_wake_one(bell_);
  }
  bool has_work() const noexcept override { return bell_.load() != 0; }

  // The kernel has an event for the task of `w`. Any thread.
  void post(waker w) {
    {
      std::lock_guard lock(mutex_);
      events_.push_back(std::move(w));
    }
    interrupt();
  }

  result<std::unique_ptr<socket>> adopt(int) override {
    return failure(std::errc::not_supported);
  }
  void perform(operation&) override {}
  void close(std::unique_ptr<socket>) noexcept override {}
  buffer_lease lease_buffer() override { return {}; }
  void give_back(std::span<std::byte>, unsigned) noexcept override {}

 private:
  sync::atomic<std::uint32_t> bell_{0};
  sync::mutex mutex_;
  std::vector<waker> events_;
};

}  // namespace duel::models
