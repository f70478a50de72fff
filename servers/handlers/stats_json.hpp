// stats_json.hpp - the counters of a scheduler as JSON; for GET /stats and --stats-file.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runtimes/api/stats.hpp"

namespace duel::handlers {

// {accepted, served, requests, model, driver, workers: [{requests, connections, ...}]}.
// The names come from `description`, "model=M driver=D ...".
[[nodiscard]] nlohmann::ordered_json stats_json(
    const std::vector<const counters*>& workers, const std::string& description);

// A counter's sum over all workers.
[[nodiscard]] std::uint64_t total(const std::vector<const counters*>& workers, counter c);

}  // namespace duel::handlers
