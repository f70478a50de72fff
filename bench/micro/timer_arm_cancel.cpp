// What does it cost to arm a timer and to cancel it, beside 0 and beside 100,000 others?
//
// The timer lies 30 s to 34 s ahead and the others behind it, so it is always the next to
// fire: the case in which the scheduler must make sure that nobody sleeps past it.
#include <deque>

#include "bench/micro/bench.hpp"
#include "runtimes/sharded/shard.hpp"
#include "runtimes/stealing/scheduler.hpp"

namespace duel::micro {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct silent_timer : timer {
  silent_timer() noexcept : timer([](timer&, time_point) noexcept { return never; }) {}
};

void arm_and_cancel(trial& in, timer_service& service) {
  std::deque<silent_timer> others(static_cast<std::size_t>(in.argument));
  auto soon = clock::now() + seconds(30), later = clock::now() + seconds(60);
  for (auto& t : others) service.arm(t, later += milliseconds(7));
  measure(in, 1000, [&](std::int64_t n) {
    silent_timer mine;
    std::int64_t filed = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      service.arm(mine, soon + milliseconds(i % 4096));
      filed += mine.is_linked();
      service.disarm(mine);
      filed -= mine.is_linked();
    }
    return filed;
  });
  for (auto& t : others) service.disarm(t);
}

void in_stealing(trial& in) {
  auto& owner = static_cast<stealing::scheduler&>(current_task()->owner);
  arm_and_cancel(in, owner.clock_work());
}
void in_sharded(trial& in) {
  arm_and_cancel(in, *sharded::this_shard);
}

}  // namespace

void add_timer_arm_cancel() {
  for (std::int64_t others : {0, 100'000}) {
    auto suffix = "/" + std::to_string(others);
    add("timer_arm_cancel", {stealing_1, stealing_2}, &in_stealing, others, suffix);
    add("timer_arm_cancel", {sharded_1}, &in_sharded, others, suffix);
  }
}

}  // namespace duel::micro
