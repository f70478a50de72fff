#include "servers/handlers/stats_json.hpp"

namespace duel::handlers {

namespace {

std::string name_of(counter c) {
  return std::string(counter_names[std::to_underlying(c)]);
}

// The counters of a worker that runs are no snapshot, so the difference may come out
// below zero.
std::uint64_t busy_ns(const counters& of) {
  auto not_busy = of.get(counter::idle_ns) + of.get(counter::searching_ns);
  auto running = of.get(counter::running_ns);
  return running - std::min(running, not_busy);
}

}  // namespace

nlohmann::ordered_json stats_json(const report& told) {
  nlohmann::ordered_json all;
  for (counter c : {counter::accepted, counter::served, counter::requests,
                    counter::turned_away}) {
    all[name_of(c)] = told.total(c);
  }
  all["connections_now"] = told.connections_now;
  all["connections_max"] = told.connections_max;
  all["uptime_s"] = told.uptime_s;
  for (const auto& [name, value] : told.words()) {
    auto& where = name == "model" || name == "driver" ? all : all["switches"];
    where[name] = value;
  }
  all["workers"] = nlohmann::ordered_json::array();
  for (const counters* w : told.workers) {
    nlohmann::ordered_json one;
    for (unsigned c = 0; c < counter_names.size(); ++c) {
      one[name_of(counter{c})] = w->get(counter{c});
    }
    one["busy_ns"] = busy_ns(*w);
    all["workers"].push_back(std::move(one));
  }
  return all;
}

}  // namespace duel::handlers
