// What does a turn of the scheduler cost when a hundred tasks do nothing but yield?
#include "bench/micro/bench.hpp"
#include "runtimes/api/task.hpp"

namespace duel::micro {
namespace {

void hundred_tasks(trial& in) {
  constexpr std::int64_t tasks = 100;
  measure(in, tasks, [](std::int64_t n) {
    auto body = [turns = n / tasks] {
      std::int64_t done = 0;
      for (; done < turns; ++done) yield();
      return done;
    };
    std::vector<join_handle<std::int64_t>> handles;
    for (std::int64_t i = 0; i < tasks; ++i) handles.push_back(spawn(body));
    std::int64_t sum = 0;
    for (auto& h : handles) sum += h.join();
    return sum;
  });
}

}  // namespace

void add_yield() {
  add("yield_100", every_model, &hundred_tasks);
}

}  // namespace duel::micro
