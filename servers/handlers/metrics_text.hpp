// metrics_text.hpp - a report in Prometheus' text format 0.0.4; for GET /metrics.
//
// duel_COUNTER_total{worker="0"} for what is summed, duel_MAXIMUM{worker="0"} for what is
// a maximum; times are seconds. Without a worker: the whole server's connections, and the
// process as the kernel sees it. duel_info has every choice as a label.
#pragma once

#include "servers/handlers/report.hpp"

namespace duel::handlers {

inline constexpr std::string_view metrics_type =
    "text/plain; version=0.0.4; charset=utf-8";

[[nodiscard]] std::string metrics_text(const report& told);

}  // namespace duel::handlers
