// serial_scheduler.hpp - the simplest model: a task is a function call.
//
// spawn() runs the task on the caller's stack and returns when it has ended, so one task
// runs at a time and the others wait their turn below it. A server on it serves one
// connection until that closes; the rest starve in the listen queue. A task that waits
// for something only its caller can do waits for ever: that is the model, not a fault of
// the program.
#pragma once

#include <memory>

#include "runtimes/core/driver.hpp"
#include "runtimes/core/scheduler.hpp"

namespace duel::serial {

// `io` blocks the calling thread when it waits.
[[nodiscard]] std::unique_ptr<scheduler> make_scheduler(std::unique_ptr<driver> io);

}  // namespace duel::serial
