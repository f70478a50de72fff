// bench.hpp - what every micro-benchmark shares: where it runs, and how its time is taken.
//
// A benchmark is a pass: a function that does n items and returns how many it can prove it has
// done. measure() times passes of at least 100 ms; Google Benchmark then reports the time of
// one item as real_time. The counter cpu_ns is the CPU time of all threads for an item;
// cpu_time is one thread's, and means nothing where the main task moves between two workers.
//
// add() registers a benchmark once for each model it applies to: its body is the main task of
// that model. Next: yield.cpp, the shortest of them.
#pragma once

#include <benchmark/benchmark.h>
#include <time.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "runtimes/core/clock.hpp"
#include "runtimes/models.hpp"

namespace duel::micro {

struct place {
  const char* suffix;
  const char* model;
  unsigned workers;
};
inline constexpr place stealing_1{"/stealing/1", "stealing", 1};
inline constexpr place stealing_2{"/stealing/2", "stealing", 2};
inline constexpr place sharded_1{"/sharded", "sharded", 1};
inline constexpr place sharded_2{"/sharded/2", "sharded", 2};
inline const std::vector<place> every_place{stealing_1, stealing_2, sharded_1};

inline double process_cpu_ns() {
  timespec t;
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

// Times passes of exactly `batch` items.
template <class Pass>
void measure_batches(benchmark::State& state, std::int64_t batch, Pass pass) {
  std::int64_t asked = 0, done = 0;
  double cpu = process_cpu_ns();
  while (state.KeepRunningBatch(batch)) {
    asked += batch;
    done += pass(batch);
  }
  state.counters["cpu_ns"] = (process_cpu_ns() - cpu) / static_cast<double>(asked);
  if (done != asked) state.SkipWithError("items were lost: the count of done ones is wrong");
}

// Times passes of a multiple of `unit` items, as long as it takes to make the clock and the
// start of a pass negligible. Finding that multiple warms up caches and pools.
template <class Pass>
void measure(benchmark::State& state, std::int64_t unit, Pass pass) {
  constexpr auto long_enough = std::chrono::milliseconds(100);
  std::int64_t batch = unit;
  for (;; batch *= 2) {
    auto start = clock::now();
    benchmark::DoNotOptimize(pass(batch));
    if (clock::now() - start >= long_enough) break;
  }
  measure_batches(state, batch, std::move(pass));
}

// Runs body(state) as the main task of a fresh model.
template <class Body>
void run_at(const place& where, benchmark::State& state, Body body) {
  auto made = make_model({.model = where.model, .workers = where.workers});
  if (!made) return state.SkipWithError(made.error().c_str());
  try {
    (*made)->run([&] { body(state); });
  } catch (const std::exception& e) {
    state.SkipWithError(e.what());
  }
}

// Registers `name` with each place's suffix, and with each of `arguments` if there are any.
inline bool add(const std::string& name, const std::vector<place>& places,
                void (*body)(benchmark::State&), const std::vector<std::int64_t>& arguments = {}) {
  for (const place& where : places) {
    auto* b = benchmark::RegisterBenchmark(
        (name + where.suffix).c_str(),
        [where, body](benchmark::State& state) { run_at(where, state, body); });
    for (auto argument : arguments) b->Arg(argument);
  }
  return true;
}

}  // namespace duel::micro
