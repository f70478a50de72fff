// uring_driver.hpp - completion I/O through io_uring: say what is to be done, be told
// when it is.
//
// One ring for each driver and one driver for each shard, made, used and destroyed on the
// shard's thread; interrupt() alone may come from another one. Requests of a turn are
// handed over with the system call that also waits. Next: uring_socket.hpp (who owns what
// until when), uring_driver.cpp, ring.cpp, buffer_pool.hpp.
#pragma once

#include <expected>
#include <memory>
#include <string>

#include "runtimes/core/polled_driver.hpp"
#include "runtimes/core/timer.hpp"

namespace duel::uring {

// When the kernel finishes a request whose event has come: on the thread's next visit for
// completions (Linux 6.1), on its next system call of any kind (5.19), or by interrupting
// it.
enum class task_work { deferred, cooperative, interrupting };

// What to use if the kernel has it. Multishot receive: Linux 6.0. Nothing works without
// provided-buffer rings and multishot accept: Linux 5.19.
struct options {
  task_work work = task_work::deferred;
  bool multishot_receive = true;
};

// Finds out what this kernel has by making a ring and giving it back. Returns the choice
// reduced to that, or one line for the user: what is refused and what to do about it.
[[nodiscard]] std::expected<options, std::string> supported(options wanted);

// "ring=defer-taskrun recv=multishot", for scheduler::description().
[[nodiscard]] std::string describe(const options& chosen);

// `chosen` is what supported() returned. `deadlines` outlives the driver. Errors: what
// io_uring_setup and eventfd say.
[[nodiscard]] result<std::unique_ptr<polled_driver>> make_driver(timer_service& deadlines,
                                                                 const options& chosen);

}  // namespace duel::uring
