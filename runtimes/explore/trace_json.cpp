#include "runtimes/explore/trace_json.hpp"

#include "runtimes/explore/table.hpp"

namespace duel::explore {

using json = nlohmann::ordered_json;

namespace {

bool is_atomic(step_kind k) {
  return k == step_kind::load || k == step_kind::store || k == step_kind::modify ||
         k == step_kind::compare_exchange;
}

json to_json(const std::vector<frame>& calls) {
  json all = json::array();
  for (const auto& each : calls) {
    all.push_back(
        {{"function", each.function}, {"file", each.file()}, {"line", each.line}});
  }
  return all;
}

json to_json(const event& e, std::size_t number) {
  const step& s = *e.what;
  json j = {{"step", number},           {"thread", s.by},      {"kind", name_of(s.kind)},
            {"text", e.text},           {"file", e.at.file()}, {"line", e.at.line},
            {"function", e.at.function}};
  if (e.object != 0) {
    j["object"] = e.object;
    j["name"] = e.name;
    j["before"] = s.before;
    j["after"] = s.after;
  }
  if (is_atomic(s.kind)) j["order"] = name_of(static_cast<std::memory_order>(s.order));
  if (!s.succeeded) j["succeeded"] = false;
  if (s.is_stale) j["stale"] = true;
  if (s.is_spurious) j["spurious"] = true;
  if (s.is_buffered) j["buffered"] = true;
  if (s.preempts) j["preempts"] = true;
  if (e.is_racing) j["racing"] = true;
  return j;
}

}  // namespace

json to_json(const model& m, const verdict& v, const std::string& flags) {
  return {{"model", m.name},
          {"claim", m.summary},
          {"memory", name_of(v.memory)},
          {"verdict", name_of(v.kind)},
          {"message", v.message},
          {"replay", v.replay},
          {"flags", flags},
          {"executions", v.executions},
          {"steps", v.steps},
          {"seconds", seconds(v.took)},
          {"bound", v.bound ? json(*v.bound) : json(nullptr)},
          {"asked_bound", m.bound},
          {"complete", v.is_complete}};
}

json to_json(const story& s) {
  json j;
  for (std::size_t i = 0; i < s.threads.size(); ++i) {
    j["threads"].push_back({{"name", std::string(1, letter(static_cast<agent>(i)))},
                            {"what", s.threads[i]},
                            {"file", s.thread_starts[i].file()},
                            {"line", s.thread_starts[i].line}});
  }
  for (const auto& each : s.waits) {
    j["threads"][each.thread]["waits_for"] = each.what;
    j["threads"][each.thread]["calls"] = to_json(each.calls);
  }
  j["steps"] = json::array();
  for (std::size_t i = 0; i < s.events.size(); ++i) {
    j["steps"].push_back(to_json(s.events[i], i + 1));
  }
  j["allocations"] = json::array();
  for (const auto& each : s.blocks) {
    json block = {{"size", each.size}, {"by", each.by}, {"made", to_json(each.made)}};
    if (!each.is_live) {
      block["freed_by"] = each.freed_by;
      block["freed"] = to_json(each.freed);
    }
    j["allocations"].push_back(std::move(block));
  }
  j["failed_by"] = s.failed_by;
  j["failed_at"] = to_json(s.failed_at);
  return j;
}

}  // namespace duel::explore
