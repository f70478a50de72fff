// report.hpp - what a server tells about itself: to GET /stats, GET /metrics and
// --stats-file.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtimes/api/stats.hpp"
#include "servers/handlers/service.hpp"

namespace duel::handlers {

struct report {
  std::vector<const counters*> workers;  // or shards; good as long as the scheduler
  std::string description;               // "model=M driver=D workers=N ... state=shared"
  std::uint64_t connections_now, connections_max;  // of the whole server
  double uptime_s;

  // Of the service and a scheduler's words about itself.
  [[nodiscard]] static report of(std::vector<const counters*> workers,
                                 const std::string& description, const service& here);

  // A counter's sum over all workers.
  [[nodiscard]] std::uint64_t total(counter c) const;
  // "name=value" of the description, in its order.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> words() const;
};

}  // namespace duel::handlers
