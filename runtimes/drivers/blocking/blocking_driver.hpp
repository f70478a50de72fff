// blocking_driver.hpp - the driver of serial and threads: an operation is a system call
// that blocks its OS thread.
//
// One call for a receive and one for a send in the steady state. A deadline is the
// socket's own time-out (SO_RCVTIMEO, SO_SNDTIMEO), set again only when it no longer fits
// what is left; cancellation shuts the socket down under the call (core/interrupt.hpp).
//
// The kernel fills a buffer that exists before it blocks, so here an idle connection does
// own one: 16 KiB for every task that waits to receive, which the other drivers do not
// pay.
#pragma once

#include <memory>

#include "runtimes/core/driver.hpp"

namespace duel {

[[nodiscard]] std::unique_ptr<driver> make_blocking_driver();

}  // namespace duel
