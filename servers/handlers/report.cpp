#include "servers/handlers/report.hpp"

#include <sstream>

namespace duel::handlers {

report report::of(std::vector<const counters*> workers, const std::string& description,
                  const service& here) {
  return {.workers = std::move(workers),
          .description = description + " " + here.settings(),
          .connections_now = here.open(),
          .connections_max = here.most_open(),
          .uptime_s = std::chrono::duration<double>(here.uptime()).count()};
}

std::uint64_t report::total(counter c) const {
  std::uint64_t sum = 0;
  for (const counters* w : workers) sum += w->get(c);
  return sum;
}

std::vector<std::pair<std::string, std::string>> report::words() const {
  std::vector<std::pair<std::string, std::string>> all;
  std::istringstream text(description);
  for (std::string word; text >> word;) {
    auto equals = word.find('=');
    if (equals != word.npos) {
      all.emplace_back(word.substr(0, equals), word.substr(equals + 1));
    }
  }
  return all;
}

}  // namespace duel::handlers
