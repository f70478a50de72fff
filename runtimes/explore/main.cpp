// main.cpp - duel-explore: explores the models of the kit's code.
#include <fmt/format.h>

#include "runtimes/explore/models.hpp"

int main(int argc, char** argv) {
  using namespace duel::explore;
  keep_thread_locals_apart();
  bool all_hold = true;
  for (const auto& m : all_models()) {
    if (argc > 1 && std::string_view(m.name).find(argv[1]) == std::string_view::npos) {
      continue;
    }
    if (!is_deterministic(m, memory_model::interleaving)) {
      fmt::print("{}: two runs of the same execution differ\n", m.name);
    }
    for (auto memory : m.memories) {
      auto v = explore(m, memory, {.time = std::chrono::seconds(20)});
      auto seconds = std::chrono::duration<double>(v.took).count();
      fmt::print(
          "{:34} {:12} bound {:>2}{} {:>9} executions {:>10} steps {:6.2f} s "
          "{:>9.0f} steps/s  {} {} {}\n",
          m.name, name_of(memory), v.bound ? int(*v.bound) : -1,
          v.is_complete ? "*" : " ", v.executions, v.steps, seconds,
          static_cast<double>(v.steps) / seconds, name_of(v.kind), v.message, v.replay);
      all_hold = all_hold && v.holds();
    }
  }
  return all_hold ? 0 : 1;
}
