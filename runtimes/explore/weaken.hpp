// weaken.hpp - mutants without a compiler: each memory order of the kit that is stronger
// than relaxed is made relaxed in turn, and a model must notice.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "runtimes/explore/models.hpp"

namespace duel::explore {

// A place in the kit (not in the models) that uses an atomic, by line.
struct place {
  std::string path, file;
  unsigned line = 0;
  std::set<step_kind> kinds;
  std::set<std::memory_order> orders;
  std::vector<std::size_t> models;  // that come by; first those that do little else
  [[nodiscard]] bool is_relaxed() const {  // relaxed: nothing to weaken
    return orders == std::set{std::memory_order_relaxed};
  }
};

// What the models of `all` use, by a short look at each. Takes memories in which a model
// fails as it is away from it: it would catch anything.
[[nodiscard]] std::vector<place> places_of(std::vector<model>& all);

struct mutant {
  const place* at;
  mutation what;
  std::string name;  // "runtimes/...:LINE:relax"
};
// One for each place that can be weaker: relax, and load for a change that changes
// nothing.
[[nodiscard]] std::vector<mutant> mutants_of(const std::vector<place>& places);

struct attempt {
  const model* by = nullptr;  // null: it survives
  verdict found;              // or the sum of what was tried
};
// Explores the models that come by, for `most` in all, until one fails.
[[nodiscard]] attempt try_mutant(const mutant& m, const std::vector<model>& all,
                                 std::chrono::milliseconds most);

}  // namespace duel::explore
