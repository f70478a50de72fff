// threads_scheduler.hpp - a task is an OS thread, and the kernel schedules it.
//
// spawn() starts a thread with a small stack; what a task waits for, its thread blocks
// in. When the system refuses a thread, spawn() throws std::system_error that names the
// limits.
#pragma once

#include <memory>

#include "runtimes/core/driver.hpp"
#include "runtimes/core/scheduler.hpp"

namespace duel::threads {

// `io` blocks the calling thread when it waits.
[[nodiscard]] std::unique_ptr<scheduler> make_scheduler(std::unique_ptr<driver> io);

}  // namespace duel::threads
