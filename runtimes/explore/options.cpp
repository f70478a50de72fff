#include "runtimes/explore/options.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>

namespace duel::explore {

namespace {

constexpr const char* about =
    "Runs small programs over the kit's own sources (models) through every interleaving "
    "of their threads that a bound allows, in three memory models.";

constexpr const char* more =
    "examples:\n"
    "  duel-explore --all\n"
    "  duel-explore example/store_buffering --memory tso\n"
    "  duel-explore NAME --memory tso --replay 17B.42A\n"
    "exit status: 0 all hold, 1 something was found, 2 wrong usage";

struct unusable {
  std::string why;
};

bool fits(std::string_view name, const std::string& pattern) {
  return name.starts_with(pattern) || ::fnmatch(pattern.c_str(), name.data(), 0) == 0;
}

std::vector<model> choose(const std::vector<std::string>& names, bool all) {
  std::vector<model> known = all_models();
  if (all) return known;
  std::ranges::move(example_models(), std::back_inserter(known));
  std::vector<bool> is_chosen(known.size());
  for (const auto& wanted : names) {
    auto exact = std::ranges::find(known, wanted, &model::name);
    bool found = exact != known.end();
    if (found) is_chosen[static_cast<std::size_t>(exact - known.begin())] = true;
    for (std::size_t i = 0; i < known.size() && exact == known.end(); ++i) {
      if (!fits(known[i].name, wanted)) continue;
      is_chosen[i] = found = true;
    }
    if (!found) throw unusable{fmt::format("no model '{}' (list them: --list)", wanted)};
  }
  std::vector<model> chosen;
  for (std::size_t i = 0; i < known.size(); ++i) {
    if (is_chosen[i]) chosen.push_back(std::move(known[i]));
  }
  return chosen;
}

void restrict_memories(std::vector<model>& models,
                       const std::vector<std::string>& wanted) {
  if (wanted.empty()) return;
  for (auto& m : models) {
    std::erase_if(m.memories, [&](memory_model each) {
      return std::ranges::find(wanted, name_of(each)) == wanted.end();
    });
  }
  std::erase_if(models, [](const model& m) { return m.memories.empty(); });
  if (models.empty()) {
    throw unusable{"no chosen model is made for that --memory (see --list)"};
  }
}

// FILE:LINE:WHAT; the file's name stays in `o`.
void read_mutation(const std::string& text, options& o) {
  auto second = text.rfind(':');
  auto first = second == std::string::npos ? second : text.rfind(':', second - 1);
  if (first == std::string::npos || first == 0) {
    throw unusable{fmt::format("--mutate: '{}' is not FILE:LINE:WHAT", text)};
  }
  const char* end = text.data() + second;
  auto number = std::from_chars(text.data() + first + 1, end, o.mutate.line);
  if (number.ec != std::errc() || number.ptr != end) {
    throw unusable{fmt::format("--mutate: '{}' names no line", text)};
  }
  auto what = text.substr(second + 1);
  using kind = mutation::kind;
  o.mutate.what = what == "relax"  ? kind::relax
                  : what == "load" ? kind::load_for_rmw
                  : what == "drop" ? kind::drop_store
                                   : kind::none;
  if (o.mutate.what == kind::none) {
    throw unusable{fmt::format("--mutate: '{}' is none of relax, load, drop", what)};
  }
  o.mutate_file = text.substr(0, first);
}

CLI::Validator at_least(std::uint64_t least) {
  return CLI::Range(least, std::uint64_t{1} << 62, "a number");
}

void take_part(options& o) {
  std::vector<model> mine;
  for (std::size_t i = o.part - 1; i < o.models.size(); i += o.parts) {
    mine.push_back(std::move(o.models[i]));
  }
  o.models = std::move(mine);
}

void check_together(const options& o) {
  if (!o.replay) return;
  if (o.models.size() != 1 || o.models[0].memories.size() != 1) {
    throw unusable{"--replay needs one NAME and one --memory"};
  }
  if (search().begin_replay(*o.replay)) return;
  throw unusable{
      fmt::format("--replay: '{}' is no replay string (as 17B.42A.50v1)", *o.replay)};
}

}  // namespace

void complain(const std::string& message) {
  fmt::print(stderr, "duel-explore: {}\n", message);
}

std::expected<options, int> parse_command_line(int argc, char** argv) {
  options o;
  std::vector<std::string> names, memories;
  std::optional<unsigned> bound;
  unsigned seconds = 10;
  bool all = false;
  std::string part;

  CLI::App app(about, "duel-explore");
  app.footer(more);
  app.add_option("NAME", names, "models: a name, the start of one, or a pattern");
  app.add_flag("--all", all, "every model (those that are wrong on purpose stay out)");
  app.add_flag("--list", o.list, "what there is, and what each claims");
  app.add_option("--memory", memories, "interleaving, tso or weak (default: the model's)")
      ->check(CLI::IsMember({"interleaving", "tso", "weak"}))
      ->expected(1)
      ->take_all();
  auto* limit =
      app.add_option(
             "--bound", bound,
             "deviations in an execution: preemptions, stale reads, early timeouts "
             "(default: the model's, mostly 3)")
          ->check(CLI::Range(0, 1000));
  auto* clock =
      app.add_option("--time", seconds,
                     "seconds for a model in a memory (default: 10; for a mutant: 5)")
          ->check(CLI::Range(1, 86'400));
  auto* replay = app.add_option("--replay", o.replay,
                                "one execution: the string of its "
                                "failure; '' is the usual one");
  auto* random =
      app.add_option("--random", o.seed, "draw executions from this seed (PCT) instead");
  app.add_option("--depth", o.depth, "of a drawn execution's defects (default: 3)")
      ->check(CLI::Range(1, 100))
      ->needs(random);
  app.add_option("--executions", o.executions, "how many are drawn (default: 10000)")
      ->check(at_least(1))
      ->needs(random);
  auto* trace = app.add_flag("--trace", o.shows_trace,
                             "show one execution of each model that holds");
  auto* mutate = app.add_option(
      "--mutate", o.mutate_text,
      "FILE:LINE:WHAT changes the code at one place: relax its memory order, "
      "load instead of a read-modify-write, drop a store");
  auto* sites = app.add_flag("--sites", o.sites, "list the places that use an atomic");
  auto* weaken = app.add_flag("--weaken", o.weaken,
                              "relax each place in turn and see that a model notices");
  app.add_option("--part", part, "K/N: only the Kth of N shares of the work");
  app.add_option("--json", o.json, "also write everything, with the steps, to this file");
  replay->excludes(random, sites, weaken, limit, clock, trace);
  weaken->excludes(random, sites, trace, mutate);

  try {
    app.parse(argc, argv);
    if (o.weaken && app.count("--time") == 0) seconds = 5;
    o.time = std::chrono::seconds(seconds);
    if (names.empty() && !all && !o.list) {
      throw unusable{"which model? (a NAME or --all; list them: --list)"};
    }
    if (all && !names.empty()) throw unusable{"--all and a NAME exclude each other"};
    o.models = choose(names, all || names.empty());
    restrict_memories(o.models, memories);
    for (auto& m : o.models) m.bound = bound.value_or(m.bound);
    if (!o.mutate_text.empty()) read_mutation(o.mutate_text, o);
    if (!part.empty() && (std::sscanf(part.c_str(), "%u/%u", &o.part, &o.parts) != 2 ||
                          o.part < 1 || o.part > o.parts)) {
      throw unusable{fmt::format("--part: '{}' is not K/N, as 1/2", part)};
    }
    if (!o.weaken) take_part(o);
    check_together(o);
  } catch (const CLI::Success& help) {
    return std::unexpected(app.exit(help));
  } catch (const CLI::ParseError& e) {
    complain(fmt::format("{} (see --help)", e.what()));
    return std::unexpected(exit_usage);
  } catch (const unusable& e) {
    complain(e.why);
    return std::unexpected(exit_usage);
  }
  return o;
}

}  // namespace duel::explore
