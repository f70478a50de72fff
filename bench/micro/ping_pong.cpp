// What does it cost two tasks to hand a value back and forth through one-place channels?
//
// An item is a round trip: two sends, two receives, two switches at the least.
#include "bench/micro/bench.hpp"
#include "runtimes/api/sync/channel.hpp"
#include "runtimes/api/task.hpp"

namespace duel::micro {
namespace {

void round_trips(trial& in) {
  measure(in, 1, [](std::int64_t n) {
    channel<std::int64_t> there(1), back(1);
    auto echo = spawn([&] {
      while (auto value = there.receive()) {
        if (!back.send(*value + 1)) return;
      }
    });
    std::int64_t value = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      if (!there.send(value)) break;
      value = back.receive().value_or(0);
    }
    there.close();
    echo.join();
    return value;
  });
}

}  // namespace

void add_ping_pong() {
  add("ping_pong", every_model, &round_trips);
}

}  // namespace duel::micro
