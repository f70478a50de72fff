// stats_json.hpp - a report as JSON; for GET /stats and --stats-file.
#pragma once

#include <nlohmann/json.hpp>

#include "servers/handlers/report.hpp"

namespace duel::handlers {

// {accepted, served, requests, connections_now, connections_max, uptime_s, model, driver,
//  switches: {steal: "half", ...}, workers: [{requests, connections, ..., busy_ns}]}.
[[nodiscard]] nlohmann::ordered_json stats_json(const report& told);

}  // namespace duel::handlers
