// What does a thief pay for each task when it takes half of a queue of 128?
//
// Filling the victims and emptying the thieves is not timed; one thread does everything,
// so nobody else's cache is involved.
#include <array>
#include <memory>

#include "bench/micro/bench.hpp"
#include "runtimes/stealing/run_queue.hpp"

namespace duel::micro {
namespace {

constexpr std::size_t pairs = 64;  // so many steals between two stops of the clock
constexpr int full = 128;

struct pair_of_queues {
  stealing::run_queue victim, thief;

  void prepare(task& t) {
    while (thief.pop()) {
    }
    for (auto have = static_cast<int>(victim.size()); have < full; ++have) {
      benchmark::DoNotOptimize(victim.push(t).empty());
    }
  }
};

void steal_half(trial& in) {
  auto queues = std::make_unique<std::array<pair_of_queues, pairs>>();
  measure_batches(in.state, pairs * full / 2, [&](std::int64_t) {
    in.state.PauseTiming();
    for (auto& q : *queues) q.prepare(*current_task());  // a pointer that nobody follows
    in.state.ResumeTiming();
    std::int64_t stolen = 0;
    for (auto& q : *queues) stolen += q.victim.steal_into(q.thief).count;
    return stolen;
  });
  in.state.counters.erase("cpu_ns");  // would count what is not timed
}

}  // namespace

void add_queue_steal() {
  add("queue_steal", {stealing_1}, &steal_half);
}

}  // namespace duel::micro
