// How long does a message take from shard 0 to shard 1 and back?
//
// One message is under way at a time, so both shards fall asleep in between: two
// mailboxes, two doorbells and two sleeps a round trip. No task is created.
#include "bench/micro/bench.hpp"
#include "runtimes/core/suspend.hpp"
#include "runtimes/sharded/shard.hpp"

namespace duel::micro {
namespace {

struct letter {
  task& sender;
  std::int64_t returned = 0;

  static void deliver_there(sharded::shard& here, void* what) noexcept {
    here.post(*here.all.shards[0], {&deliver_back, what});
  }
  static void deliver_back(sharded::shard& here, void* what) noexcept {
    auto& self = *static_cast<letter*>(what);
    ++self.returned;
    here.wake(self.sender);
  }
};

void there_and_back(trial& in) {
  measure(in, 1, [](std::int64_t n) {
    letter one{.sender = *current_task()};
    auto& here = *sharded::this_shard;
    for (std::int64_t i = 0; i < n; ++i) {
      here.post(*here.all.shards[1], {&letter::deliver_there, &one});
      while (one.returned == i) suspend(suspend_reason::event);
    }
    return one.returned;
  });
}

}  // namespace

void add_mailbox_hop() {
  add("mailbox_hop", {sharded_2}, &there_and_back);
}

}  // namespace duel::micro
