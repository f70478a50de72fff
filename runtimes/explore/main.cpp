// main.cpp - duel-explore: explores the models of the kit's code.
#include <fmt/format.h>

#include <fstream>

#include "runtimes/explore/options.hpp"
#include "runtimes/explore/report.hpp"
#include "runtimes/explore/table.hpp"
#include "runtimes/explore/trace_json.hpp"
#include "runtimes/explore/weaken.hpp"

namespace duel::explore {
namespace {

// The same for the same name in every process.
std::uint64_t fnv1a(std::string_view text) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (unsigned char each : text) hash = (hash ^ each) * 0x100000001b3u;
  return hash;
}

using json = nlohmann::ordered_json;

std::string flags_for(const options& o, const model& m, const verdict& v) {
  auto flags = fmt::format("{} --memory {}", m.name, name_of(v.memory));
  if (!o.mutate_text.empty()) flags += " --mutate " + o.mutate_text;
  return flags + fmt::format(" --replay '{}'", v.replay);
}

class program {
 public:
  explicit program(const options& o) : o_(o), lines_(o.models) {}

  int run() {
    json_ = {{"program", "duel-explore"}, {"statement", statement()}};
    int status = o_.replay ? replay_one() : o_.weaken ? weaken() : explore_all();
    if (o_.json.empty()) return status;
    std::ofstream file(o_.json);
    file << json_.dump(1) << '\n';
    file.close();
    if (file) return status;
    complain(fmt::format("{} cannot be written (check the path)", o_.json));
    return exit_usage;
  }

 private:
  int explore_all() {
    bool is_drawn = o_.seed.has_value();
    std::set<atomic_site> sites;
    if (o_.sites) world.collect_sites(&sites);
    bool all_hold = true;
    for (const auto& m : o_.models) {
      for (auto memory : m.memories) {
        lines_.show_progress(m, memory);
        if (!check_determinism(m, memory)) return exit_found;
        auto v = is_drawn ? explore_random(m, memory, *o_.seed, o_.depth,
                                           {.executions = o_.executions, .time = o_.time})
                          : explore(m, memory, {.time = o_.time});
        lines_.add(m, v, is_drawn);
        all_hold = all_hold && v.holds();
        show(m, v, v.kind != failure::unreached && (!v.holds() || o_.shows_trace));
      }
    }
    lines_.finish(is_drawn);
    for (const auto& each : sites) {
      fmt::print("{}:{} {} {}\n", frame{"", std::string(each.file), 0}.file(), each.line,
                 name_of(each.kind), name_of(each.order));
    }
    return all_hold ? 0 : exit_found;
  }

  int replay_one() {
    verdict v{.replay = *o_.replay, .memory = o_.models[0].memories[0]};
    auto replayed = replay(o_.models[0], v.memory, v.replay);
    if (!replayed) {
      fmt::print(stderr,
                 "duel-explore: this replay does not fit {} in {} memory: it is of other "
                 "sources or flags (explore again)\n",
                 o_.models[0].name, name_of(v.memory));
      return exit_usage;
    }
    v = *replayed;
    show(o_.models[0], v, true);
    return v.holds() ? 0 : exit_found;
  }

  // Shows the execution that failed, or the usual one.
  void show(const model& m, const verdict& v, bool with_steps) {
    auto flags = flags_for(o_, m, v);
    json result = to_json(m, v, flags);
    if (with_steps) {
      trace steps;
      auto again = *replay(m, v.memory, v.replay, &steps);
      auto told = tell(steps, again);
      print(m, again, told, flags, width_of_terminal());
      if (!o_.json.empty()) result["trace"] = to_json(told);
    } else if (!v.holds()) {
      fmt::print("\n{}, {} memory: {}\n\n", m.name, name_of(v.memory), v.message);
    }
    json_["results"].push_back(std::move(result));
  }

  static bool check_determinism(const model& m, memory_model memory) {
    trace first, second;
    (void)replay(m, memory, "", &first);
    (void)replay(m, memory, "", &second);
    auto difference = first_difference(first, second);
    if (difference.empty()) return true;
    fmt::print(
        "{}, {} memory: something in the model is not the explorer's to decide (a "
        "clock, an address, static data): of two runs of one execution, {}\n",
        m.name, name_of(memory), difference);
    return false;
  }

  int weaken() {
    auto models = o_.models;
    auto places = places_of(models);
    auto mutants = mutants_of(places);
    unsigned survivors = 0;
    json_["mutants"] = json::array();
    for (const mutant& m : mutants) {
      json_["all"].push_back(m.name);
      // By name, so that two processes agree whatever else they have found.
      if (fnv1a(m.name) % o_.parts != o_.part - 1) continue;
      auto tried = try_mutant(m, models, o_.time);
      auto source = source_line(m.at->path, m.at->line);
      json each = {{"name", m.name},
                   {"file", m.at->file},
                   {"line", m.at->line},
                   {"source", source},
                   {"caught", tried.by != nullptr},
                   {"executions", tried.found.executions},
                   {"seconds", seconds(tried.found.took)}};
      if (tried.by) {
        each["model"] = tried.by->name;
        each["memory"] = name_of(tried.found.memory);
        each["bound"] = tried.found.bound ? *tried.found.bound + 1 : 0;
        each["verdict"] = name_of(tried.found.kind);
        each["replay"] = tried.found.replay;
        fmt::print("caught    {:48} {} in {} at bound {}: {}, {} executions, {:.2f} s\n",
                   m.name, tried.by->name, name_of(tried.found.memory),
                   each["bound"].get<unsigned>(), name_of(tried.found.kind),
                   grouped(tried.found.executions), seconds(tried.found.took));
      } else {
        ++survivors;
        fmt::print("SURVIVES  {:48} {}  ({} executions of {} models, {:.2f} s)\n", m.name,
                   source, grouped(tried.found.executions), m.at->models.size(),
                   seconds(tried.found.took));
      }
      std::fflush(stdout);
      json_["mutants"].push_back(std::move(each));
    }
    fmt::print("{} mutants, {} survive\n", json_["mutants"].size(), survivors);
    return survivors == 0 ? 0 : exit_found;
  }

  const options& o_;
  table lines_;
  json json_;
};

}  // namespace
}  // namespace duel::explore

int main(int argc, char** argv) {
  using namespace duel::explore;
  keep_thread_locals_apart();
  auto o = parse_command_line(argc, argv);
  if (!o) return o.error();
  if (o->list) {
    list(o->models);
    return 0;
  }
  auto mutate = o->mutate;
  mutate.file = o->mutate_file;
  world.mutate(mutate);
  int status = program(*o).run();
  // What an abandoned execution has left behind is not to be destroyed.
  std::fflush(nullptr);
  std::_Exit(status);
}
