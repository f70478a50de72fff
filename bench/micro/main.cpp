// main.cpp - micro-bench: every question of this folder, asked of every model it applies
// to.
//
// Takes Google Benchmark's flags. A pass takes 100 ms by itself (bench.hpp), so the
// library's own lower bound is set beneath that; --benchmark_min_time on the command line
// raises it.
#include <malloc.h>

#include "bench/micro/bench.hpp"

int main(int argc, char** argv) {
  // At first glibc gives the heap's top back to the kernel whenever 128 KiB of it are
  // free. A thousand tasks are more than that: where nothing happens to lie above them,
  // each round would take its pages from the kernel again, a third of its time. The first
  // large block that is freed would move both limits up; here they are there at once.
  ::mallopt(M_TRIM_THRESHOLD, 64 << 20);
  ::mallopt(M_MMAP_THRESHOLD, 32 << 20);

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
