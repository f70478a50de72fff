// What does it cost to enter a fiber and come back, without a scheduler?
//
// fiber_switch: fiber::resume() and the suspend() that returns from it; two switches an
// item. fiber_switch/raw: the same two switches by jump_fcontext alone, the floor beneath
// it.
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

void through_fiber(trial& in) {
  stack_pool pool;
  stack_cache stacks(pool);
  visited there;
  there.context.prepare(stacks.take(), &visited::run, &there);
  measure(in, 1000, [&](std::int64_t n) {
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

void through_jumps(trial& in) {
  stack_pool pool;
  stack_cache stacks(pool);
  stack on = stacks.take();
  auto there = context::make_fcontext(on.data() + on.size(), on.size(), &count_visits);
  std::int64_t visits = 0;
  measure(in, 1000, [&](std::int64_t n) {
    auto before = visits;
    for (std::int64_t i = 0; i < n; ++i)
      there = context::jump_fcontext(there, &visits).fctx;
    return visits - before;
  });
  stacks.give_back(on);  // the context on it owns nothing
}

}  // namespace

void add_fiber_switch() {
  add("fiber_switch", {no_model}, &through_fiber);
  add("fiber_switch/raw", {no_model}, &through_jumps);
}

}  // namespace duel::micro
