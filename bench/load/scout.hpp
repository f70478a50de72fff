// scout.hpp - asks one request alone, before the load: is there a server, and what does
// it answer? Waits; from main().
#pragma once

#include <atomic>
#include <expected>
#include <optional>
#include <string>

#include "bench/load/exchange.hpp"

namespace duel::load {

// The body of the first answer, if it has the status expected and comes in time; empty
// where the exchange needs none, or at `stop`. The error says why nobody can be asked,
// and the fix.
std::expected<std::optional<std::string>, std::string> scout_ahead(
    const options& o, const exchange& talk, const std::atomic<bool>& stop);

}  // namespace duel::load
