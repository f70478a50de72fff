// main.cpp - micro-bench: every question of this folder, asked of every model it applies
// to.
//
// Takes Google Benchmark's flags. A pass takes 100 ms by itself (bench.hpp), so the
// library's own lower bound is set beneath that; --benchmark_min_time on the command line
// raises it.
#include "bench/micro/bench.hpp"

int main(int argc, char** argv) {
  std::string one_pass = "--benchmark_min_time=0.01";
  std::vector<char*> args(argv, argv + argc);
  args.insert(args.begin() + 1, one_pass.data());
  int count = static_cast<int>(args.size());
  benchmark::Initialize(&count, args.data());
  if (benchmark::ReportUnrecognizedArguments(count, args.data())) return 2;

  using namespace duel::micro;
  add_fiber_switch();
  add_spawn();
  add_spawn_million();
  add_yield();
  add_ping_pong();
  add_wake_remote();
  add_mailbox_hop();
  add_call_at();
  add_queue_push_pop();
  add_queue_steal();
  add_timer_arm_cancel();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
