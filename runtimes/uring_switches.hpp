// uring_switches.hpp - from switches to the ring's options, and back what the kernel left
// of them. For the corners that have a ring.
#pragma once

#include <expected>
#include <string>

#include "runtimes/drivers/uring/uring_driver.hpp"
#include "runtimes/switches.hpp"

namespace duel {

// What the corner's switches ask for, as far as the kernel has it; `chosen` states the
// rest afterwards. The error is one line for the user.
[[nodiscard]] std::expected<uring::options, std::string> choose_uring(switches& chosen);

}  // namespace duel
