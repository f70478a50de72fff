#include "servers/handlers/stats_json.hpp"

namespace duel::handlers {

namespace {

std::string word_after(const std::string& text, std::string_view key) {
  auto at = text.find(key);
  if (at == std::string::npos) return "";
  at += key.size();
  return text.substr(at, text.find(' ', at) - at);
}

}  // namespace

std::uint64_t total(const std::vector<const counters*>& workers, counter c) {
  std::uint64_t sum = 0;
  for (const counters* w : workers) sum += w->get(c);
  return sum;
}

nlohmann::ordered_json stats_json(const std::vector<const counters*>& workers,
                                  const std::string& description) {
  nlohmann::ordered_json all;
  for (counter c : {counter::accepted, counter::served, counter::requests}) {
    all[std::string(counter_names[std::to_underlying(c)])] = total(workers, c);
  }
  all["model"] = word_after(description, "model=");
  all["driver"] = word_after(description, "driver=");
  all["workers"] = nlohmann::ordered_json::array();
  for (const counters* w : workers) {
    nlohmann::ordered_json one;
    for (unsigned c = 0; c < counter_names.size(); ++c) {
      one[std::string(counter_names[c])] = w->get(static_cast<counter>(c));
    }
    all["workers"].push_back(std::move(one));
  }
  return all;
}

}  // namespace duel::handlers
