// scheduler.hpp - the sharded model: a pinned thread for each shard, and a task never
// leaves the shard where it was spawned.
//
// Reading order: shard.cpp (the loop), mailbox.hpp, parking.hpp, scheduler.cpp. DESIGN.md
// has the pairs of atomics and the argument why run() ends exactly when nothing is left.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <string>

#include "runtimes/core/polled_driver.hpp"
#include "runtimes/core/scheduler.hpp"
#include "runtimes/core/step.hpp"
#include "runtimes/core/timer.hpp"
#include "runtimes/sharded/placement.hpp"

namespace duel::sharded {

// Makes one shard's driver, on that shard's own thread; several threads call it at once.
// The timer service and the counters are the shard's and outlive the driver.
using driver_factory = std::function<result<std::unique_ptr<polled_driver>>(
    timer_service& deadlines, counters& book)>;

struct options {
  unsigned shards = 1;
  bool pin = true;  // shard i on the i-th CPU this process may use, modulo
  accept_policy accept = accept_policy::reuseport;
  std::uint16_t budget = default_budget;
  duration spin{};       // looking for work before going to sleep
  std::string driver;    // its name, for description()
  std::string settings;  // every switch, for description(); may be empty
  driver_factory make_driver;
};

// The error is one line for the user: what is wrong and how to fix it. A driver that a
// shard cannot have after all makes run() throw std::system_error before `main` starts.
[[nodiscard]] std::expected<std::unique_ptr<duel::scheduler>, std::string> make_scheduler(
    options chosen);

}  // namespace duel::sharded
