// What does a function called at another shard cost, there and back?
//
// What a GET of /kv pays for a key of another shard: a task there, one message to it and
// two back. One call at a time, so both shards fall asleep in between; and many at a time
// from one shard, so that doorbells and sleeps are shared.
#include "bench/micro/bench.hpp"
#include "runtimes/api/call.hpp"

namespace duel::micro {
namespace {

std::int64_t call(std::int64_t times) {
  std::int64_t done = 0;
  for (std::int64_t i = 0; i < times; ++i) done += call_at(1, [] { return 1; });
  return done;
}

void one_by_one(trial& in) {
  measure(in, 1, &call);
}

void many_at_a_time(trial& in) {
  measure(in, in.argument, [&](std::int64_t n) {
    std::vector<join_handle<std::int64_t>> callers;
    for (std::int64_t i = 0; i < in.argument; ++i) {
      callers.push_back(spawn([&] { return call(n / in.argument); }));
    }
    std::int64_t done = 0;
    for (auto& each : callers) done += each.join();
    return done;
  });
}

}  // namespace

void add_call_at() {
  add("call_at", {sharded_2}, &one_by_one);
  add("call_at", {sharded_2}, &many_at_a_time, 100, "/100");
}

}  // namespace duel::micro
