// What does the run queue alone cost its owner, for a push and the pop of it?
//
// 64 tasks go in, then out. Nobody steals: what the ring of stealing pays here for the
// possibility is the difference to the list of sharded.
#include <deque>

#include "bench/micro/bench.hpp"
#include "runtimes/sharded/run_queue.hpp"
#include "runtimes/stealing/run_queue.hpp"

namespace duel::micro {
namespace {

constexpr std::int64_t depth = 64;

// A task that is queued and never run.
struct token final : task {
  token() : task(current_task()->owner, false) {}
  void run_body() noexcept override {}
  void fail(std::exception_ptr) noexcept override {}
  void drop_result() noexcept override {}
};

void ring(trial& in) {
  std::deque<token> tokens(depth);
  stealing::run_queue queue;
  measure(in, depth, [&](std::int64_t n) {
    std::int64_t right = 0;
    for (; n > 0; n -= depth) {
      for (auto& t : tokens) benchmark::DoNotOptimize(queue.push(t).empty());
      for (auto& t : tokens) right += queue.pop() == &t;
    }
    return right;
  });
}

void list(trial& in) {
  std::deque<token> tokens(depth);
  sharded::run_queue queue;
  measure(in, depth, [&](std::int64_t n) {
    std::int64_t right = 0;
    for (; n > 0; n -= depth) {
      for (auto& t : tokens) queue.push(t);
      for (auto& t : tokens) right += &queue.pop() == &t;
    }
    return right;
  });
}

}  // namespace

void add_queue_push_pop() {
  add("queue_push_pop", {stealing_1}, &ring);
  add("queue_push_pop", {sharded_1}, &list);
}

}  // namespace duel::micro
