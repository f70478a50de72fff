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

#include "runtimes/core/counters.hpp"
#include "runtimes/core/polled_driver.hpp"
#include "runtimes/core/timer.hpp"

namespace duel::uring {

// When the kernel finishes a request whose event has come: on the thread's next visit for
// completions (Linux 6.1), on its next system call of any kind (5.19), or by interrupting
// it. Polled: a kernel thread takes the requests, and interrupts (needs a CPU to itself).
// Each is what becomes of the one before where the kernel lacks it.
enum class task_work { polled, deferred, cooperative, interrupting };

// Queued: a request with the others of the turn. Direct: send(2) at once, and a request
// if that would block. Zero-copy: a request that borrows the memory, which the kernel
// keeps until the peer has the bytes; for memory that is handed over (operation::lease),
// the rest is queued.
enum class send_mode { queued, direct, zero_copy };

// Requests are handed over every turn, when so many are queued, or before sleeping, which
// all of them are.
inline constexpr unsigned every_turn = 0, before_sleep = ~0u;

// What to use if the kernel has it. Multishot receive and zero-copy: Linux 6.0. Doorbell
// messages: 5.18. Nothing works without provided-buffer rings and multishot accept: 5.19.
struct options {
  task_work work = task_work::deferred;
  bool multishot_receive = true;
  send_mode send = send_mode::queued;
  bool message_doorbell = false;  // a shard wakes another through the rings
  unsigned flush = every_turn;
};

// Finds out what this kernel has by making rings and giving them back. Returns the choice
// reduced to that, or one line for the user: what is refused and what to do about it.
[[nodiscard]] std::expected<options, std::string> supported(options wanted);

// `chosen` is what supported() returned. `deadlines` and `book` outlive the driver.
// Errors: what io_uring_setup and eventfd say.
[[nodiscard]] result<std::unique_ptr<polled_driver>> make_driver(timer_service& deadlines,
                                                                 counters& book,
                                                                 const options& chosen);

}  // namespace duel::uring
