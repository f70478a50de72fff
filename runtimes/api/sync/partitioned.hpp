// partitioned.hpp - data in parts, of which a task has one to itself for a moment:
// either each part behind a lock, or each at the home that owns it.
//
// `behind_locks` blocks the worker that finds a part taken. That is right for what is
// done here: a look-up and the exchange of a pointer, some ten nanoseconds that never
// wait. A lock that suspends the task would cost more than what it guards, and with many
// more parts than workers two rarely meet. `at_homes` takes no lock: a task of another
// home sends its function there (call.hpp) and waits.
#pragma once

#include <mutex>
#include <vector>

#include "runtimes/api/call.hpp"
#include "runtimes/core/config.hpp"

namespace duel {

template <class Part>
class partitioned {
 public:
  [[nodiscard]] static partitioned behind_locks(std::size_t parts) {
    return {parts, false};
  }
  // `homes`: those of the scheduler whose tasks will use it.
  [[nodiscard]] static partitioned at_homes(unsigned homes) { return {homes, true}; }

  // What fn(part) returns, for the part that `hash` chooses. `fn` must not wait.
  template <class F>
  auto with(std::size_t hash, F fn) -> std::invoke_result_t<F&, Part&> {
    auto i = hash % places_.size();
    place& here = places_[i];
    if (at_homes_) {
      return call_at(static_cast<unsigned>(i), [&] { return fn(here.part); });
    }
    std::lock_guard lock(here.mutex);
    return fn(here.part);
  }

 private:
  struct alignas(no_sharing) place {
    std::mutex mutex;  // guards part, unless its home does
    Part part;
  };
  partitioned(std::size_t parts, bool at_homes) : at_homes_(at_homes), places_(parts) {}

  const bool at_homes_;
  std::vector<place> places_;
};

}  // namespace duel
