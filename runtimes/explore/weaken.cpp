#include "runtimes/explore/weaken.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "runtimes/explore/symbols.hpp"

namespace duel::explore {

namespace {

constexpr std::uint64_t look = 2000;  // executions

// A read-modify-write that leaves the value as it is: a load that reads the newest.
bool changes_nothing(const place& p) {
  auto text = source_line(p.path, p.line);
  return p.kinds.contains(step_kind::modify) &&
         (text.find("fetch_add(0") != std::string::npos ||
          text.find("fetch_or(0") != std::string::npos);
}

}  // namespace

std::vector<place> places_of(std::vector<model>& all) {
  std::map<std::pair<std::string, unsigned>, place> found;
  std::vector<std::size_t> breadth;  // places that each model comes by
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::set<atomic_site> sites;
    world.collect_sites(&sites);
    std::erase_if(all[i].memories, [&](memory_model memory) {
      return !explore(all[i], memory, {.executions = look}).holds();
    });
    world.collect_sites(nullptr);
    breadth.push_back(sites.size());
    for (const auto& each : sites) {
      frame at{"", std::string(each.file), each.line};
      if (!at.is_of_interest() || at.file().starts_with("runtimes/explore/")) continue;
      auto& p = found[{at.file(), each.line}];
      p.path = at.path;
      p.file = at.file();
      p.line = each.line;
      p.kinds.insert(each.kind);
      p.orders.insert(each.order);
      if (p.models.empty() || p.models.back() != i) p.models.push_back(i);
    }
  }
  std::vector<place> places;
  for (auto& [key, p] : found) {
    std::ranges::sort(p.models, {}, [&](std::size_t i) { return breadth[i]; });
    places.push_back(std::move(p));
  }
  return places;
}

std::vector<mutant> mutants_of(const std::vector<place>& places) {
  std::vector<mutant> all;
  auto add = [&](const place& p, mutation::kind what, const char* name) {
    all.push_back(
        {&p, {p.file, p.line, what}, fmt::format("{}:{}:{}", p.file, p.line, name)});
  };
  for (const auto& each : places) {
    if (!each.is_relaxed()) add(each, mutation::kind::relax, "relax");
    if (changes_nothing(each)) add(each, mutation::kind::load_for_rmw, "load");
  }
  return all;
}

attempt try_mutant(const mutant& m, const std::vector<model>& all,
                   std::chrono::milliseconds most) {
  attempt tried;
  world.mutate(m.what);
  // All models briefly before any of them long; the weak memory sees most.
  for (std::chrono::milliseconds slice(20); tried.by == nullptr; slice *= 25) {
    bool was_cut = false;
    for (auto i : m.at->models) {
      const model& by = all[i];
      for (auto memory :
           {memory_model::weak, memory_model::tso, memory_model::interleaving}) {
        bool is_made_for_it = std::ranges::find(by.memories, memory) != by.memories.end();
        if (!is_made_for_it || tried.by || tried.found.took >= most) continue;
        auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            most - tried.found.took);
        auto v = explore(by, memory, {.time = std::min(slice, left)});
        was_cut = was_cut || (v.holds() && !v.is_complete && v.bound != by.bound);
        v.executions += tried.found.executions;
        v.steps += tried.found.steps;
        v.took += tried.found.took;
        tried.found = v;
        if (!v.holds()) tried.by = &by;
      }
    }
    if (!was_cut || tried.found.took >= most) break;
  }
  world.mutate({});
  return tried;
}

}  // namespace duel::explore
