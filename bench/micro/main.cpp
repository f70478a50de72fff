// main.cpp - micro-bench: every question of this folder, asked of every model it applies to.
//
// Takes Google Benchmark's flags. A pass takes 100 ms by itself (bench.hpp), so the library's
// own lower bound is set beneath that; --benchmark_min_time on the command line raises it.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

int main(int argc, char** argv) {
  std::string one_pass = "--benchmark_min_time=0.01";
  std::vector<char*> args(argv, argv + argc);
  args.insert(args.begin() + 1, one_pass.data());
  int count = static_cast<int>(args.size());
  benchmark::Initialize(&count, args.data());
  if (benchmark::ReportUnrecognizedArguments(count, args.data())) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
