// oneshot_driver.hpp - io_uring under tasks that change threads: one request, one
// completion.
//
// Each worker has one. An operation is submitted to the ring of the worker its task runs
// on, and only that worker's thread touches the ring; the task may continue elsewhere and
// then uses the ring of its new worker. So nothing of a connection stays behind in a ring
// but the request under way: no multishot, no send that is handed over, and received
// bytes are copied out of the ring's buffers. That is the price of moving, beside
// uring_driver.hpp, which need not pay it.
//
// While a worker runs a task its ring completes nothing (DEFER_TASKRUN): what the ring
// holds waits with it, even if other workers are idle.
#pragma once

#include "runtimes/drivers/uring/uring_driver.hpp"

namespace duel::uring {

// Made, polled and destroyed on the worker's thread; perform() from tasks that run on it.
// interrupt(), close() and giving a lease back: any thread. `book` is the worker's.
// Errors: what io_uring_setup and eventfd say.
[[nodiscard]] result<std::unique_ptr<polled_driver>> make_oneshot_driver(
    counters& book, const options& chosen);

}  // namespace duel::uring
