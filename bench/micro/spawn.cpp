// What does a task cost from spawn to join, one at a time and a thousand together?
//
// spawn_join: the spawner waits for each task, so the scheduler switches to it and back.
// spawn_join_1000: a thousand are spawned, then joined; an item is one task.
#include "bench/micro/bench.hpp"
#include "runtimes/api/task.hpp"

namespace duel::micro {
namespace {

void one_at_a_time(trial& in) {
  measure(in, 1, [](std::int64_t n) {
    std::int64_t sum = 0;
    for (std::int64_t i = 0; i < n; ++i)
      sum += spawn([one = n - i > 0] { return one; }).join();
    return sum;
  });
}

void a_thousand(trial& in) {
  constexpr std::int64_t together = 1000;
  std::vector<join_handle<std::int64_t>> handles;
  handles.reserve(together);
  measure(in, together, [&](std::int64_t n) {
    std::int64_t sum = 0;
    for (; n > 0; n -= together) {
      for (std::int64_t i = 0; i < together; ++i) {
        handles.push_back(spawn([i]() -> std::int64_t { return 2 * i + 1; }));
      }
      std::int64_t odd_numbers = 0;
      for (auto& h : handles) odd_numbers += h.join();
      handles.clear();
      sum += odd_numbers / together;  // they add up to the square of their count
    }
    return sum;
  });
}

}  // namespace

void add_spawn() {
  add("spawn_join", every_model, &one_at_a_time);
  add("spawn_join_1000", every_model, &a_thousand);
}

}  // namespace duel::micro
