// bench.hpp - what every micro-benchmark shares: where it runs, and how its time is
// taken.
//
// A benchmark is a pass: a function that does n items and returns how many it can prove
// it has done. measure() times passes of at least 100 ms; Google Benchmark then reports
// the time of one item as real_time. The counter cpu_ns is the CPU time of all threads
// for an item; cpu_time is one thread's, and means nothing where the main task moves
// between two workers.
//
// add() registers a benchmark once for each model it applies to: its body is the main
// task of that model. Next: yield.cpp, the shortest of them.
#pragma once

#include <benchmark/benchmark.h>
#include <time.h>

#include <cstdint>
#include <string>
#include <vector>

#include "runtimes/core/clock.hpp"
#include "runtimes/models.hpp"

namespace duel::micro {

struct place {
  const char* suffix;  // of the benchmark's name
  const char* model;   // null: outside any scheduler
  unsigned workers;
};
inline constexpr place no_model{"", nullptr, 0};
inline constexpr place stealing_1{"/stealing/1", "stealing", 1};
inline constexpr place stealing_2{"/stealing/2", "stealing", 2};
inline constexpr place sharded_1{"/sharded", "sharded", 1};
inline constexpr place sharded_2{"/sharded/2", "sharded", 2};
inline const std::vector<place> every_model{stealing_1, stealing_2, sharded_1};

// One repetition of one benchmark.
struct trial {
  benchmark::State& state;
  std::int64_t& batch;    // items of a pass, found by the first repetition; 0 before
  std::int64_t argument;  // see add()
};
using body_fn = void (*)(trial&);

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
  if (done != asked)
    state.SkipWithError("items were lost: the count of done ones is wrong");
}

// Times passes of a multiple of `unit` items that takes long enough to make the clock and
// the start of a pass negligible. Finding it warms up caches and pools. Every repetition
// uses the first one's: Google Benchmark insists on equal counts.
template <class Pass>
void measure(trial& in, std::int64_t unit, Pass pass) {
  constexpr auto long_enough = std::chrono::milliseconds(100);
  for (std::int64_t batch = unit; in.batch == 0; batch *= 2) {
    auto start = clock::now();
    benchmark::DoNotOptimize(pass(batch));
    if (clock::now() - start >= long_enough) in.batch = batch;
  }
  measure_batches(in.state, in.batch, std::move(pass));
}

// Runs the body as the main task of a fresh model.
inline void run_at(const place& where, trial in, body_fn body) {
  if (!where.model) return body(in);
  auto made = make_model({.model = where.model, .workers = where.workers});
  if (!made) return in.state.SkipWithError(made.error().c_str());
  try {
    (*made)->run([&] { body(in); });
  } catch (const std::exception& e) {
    in.state.SkipWithError(e.what());
  }
}

// Registers `name` with each place's suffix.
inline void add(const std::string& name, const std::vector<place>& places, body_fn body,
                std::int64_t argument = 0, const std::string& argument_suffix = "") {
  for (const place& where : places) {
    std::int64_t batch = 0;
    auto run = [where, body, argument, batch](benchmark::State& state) mutable {
      run_at(where, {state, batch, argument}, body);
    };
    benchmark::RegisterBenchmark((name + where.suffix + argument_suffix).c_str(), run);
  }
}

// One a file; main() calls them.
void add_fiber_switch();
void add_spawn();
void add_spawn_million();
void add_yield();
void add_ping_pong();
void add_wake_remote();
void add_mailbox_hop();
void add_call_at();
void add_queue_push_pop();
void add_queue_steal();
void add_timer_arm_cancel();

}  // namespace duel::micro
