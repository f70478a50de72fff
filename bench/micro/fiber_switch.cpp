// What does it cost to enter a fiber and come back, without a scheduler?
//
// fiber_switch: fiber::resume() and the suspend() that returns from it; two switches an item.
// fiber_switch/raw: the same two switches by jump_fcontext alone, the floor beneath it.
#include <boost/context/detail/fcontext.hpp>

#include "bench/micro/bench.hpp"
#include "runtimes/core/fiber.hpp"

namespace duel::micro {
namespace {

struct visited {
  fiber context;
  std::int64_t visits = 0;
  bool last = false;

  static void run(void* argument) noexcept {
    auto& self = *static_cast<visited*>(argument);
    while (!self.last) {
      ++self.visits;
      self.context.suspend();
    }
  }
};

void through_fiber(benchmark::State& state) {
  stack_pool pool;
  stack_cache stacks(pool);
  visited there;
  there.context.prepare(stacks.take(), &visited::run, &there);
  measure(state, 1000, [&](std::int64_t n) {
    auto before = there.visits;
    for (std::int64_t i = 0; i < n; ++i) there.context.resume();
    return there.visits - before;
  });
  there.last = true;
  there.context.resume();
  stacks.give_back(there.context.release_stack());
}

namespace context = boost::context::detail;

void count_visits(context::transfer_t from) {
  for (;;) {
    ++*static_cast<std::int64_t*>(from.data);
    from = context::jump_fcontext(from.fctx, nullptr);
  }
}

void through_jumps(benchmark::State& state) {
  stack_pool pool;
  stack_cache stacks(pool);
  stack on = stacks.take();
  auto there = context::make_fcontext(on.data() + on.size(), on.size(), &count_visits);
  std::int64_t visits = 0;
  measure(state, 1000, [&](std::int64_t n) {
    auto before = visits;
    for (std::int64_t i = 0; i < n; ++i) there = context::jump_fcontext(there, &visits).fctx;
    return visits - before;
  });
  stacks.give_back(on);  // the context on it owns nothing
}

[[maybe_unused]] const bool added =
    benchmark::RegisterBenchmark("fiber_switch", &through_fiber) &&
    benchmark::RegisterBenchmark("fiber_switch/raw", &through_jumps);

}  // namespace
}  // namespace duel::micro
