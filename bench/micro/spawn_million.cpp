// What do a million tasks cost, in time and in memory?
//
// spawn_million: spawned, then joined. None waits, so they share a few stacks.
// spawn_million_waiting: all are alive and suspended at once, each on a stack of its own;
// the time of an item is spawn, first wait, wake and join.
//
// peak_MiB is the highest resident memory during the pass over what was resident before
// it.
#include <malloc.h>

#include <atomic>
#include <fstream>

#include "bench/micro/bench.hpp"
#include "runtimes/api/task.hpp"

namespace duel::micro {
namespace {

constexpr std::int64_t million = 1'000'000;

// "VmHWM:    1234 kB" of /proc/self/status and its like; in MiB.
double mebibytes(const char* file, const std::string& key) {
  std::ifstream lines(file);
  for (std::string word; lines >> word;) {
    double kib = 0;
    if (word == key + ":" && lines >> kib) return kib / 1024;
  }
  return 0;
}

class memory_peak {
 public:
  memory_peak() {
    ::malloc_trim(0);
    std::ofstream("/proc/self/clear_refs") << "5";  // the peak starts again from here
    before_ = mebibytes("/proc/self/status", "VmRSS");
  }
  [[nodiscard]] double value() const {
    return mebibytes("/proc/self/status", "VmHWM") - before_;
  }

 private:
  double before_;
};

void report(benchmark::State& results, double peak) {
  results.counters["peak_MiB"] = peak;
  results.counters["bytes_per_task"] = peak * 1024 * 1024 / million;
}

void spawn_and_join(trial& in) {
  memory_peak peak;
  measure_batches(in.state, million, [](std::int64_t n) {
    std::vector<join_handle<int>> handles;
    handles.reserve(static_cast<std::size_t>(n));
    for (std::int64_t i = 0; i < n; ++i) handles.push_back(spawn([] { return 1; }));
    std::int64_t sum = 0;
    for (auto& h : handles) sum += h.join();
    return sum;
  });
  report(in.state, peak.value());
}

// Tasks that wait until all of them do.
class crowd {
 public:
  explicit crowd(std::int64_t size) : wakers_(static_cast<std::size_t>(size)) {}

  void wait(std::size_t place) {
    waiting_.fetch_add(1);
    while (!released_.load()) {
      suspend(suspend_reason::event, [&](waker w) { wakers_[place] = std::move(w); });
    }
  }
  [[nodiscard]] bool is_complete() const {
    return waiting_.load() == static_cast<std::int64_t>(wakers_.size());
  }
  void release() {
    released_.store(true);
    for (auto& w : wakers_) std::move(w).wake();
  }

 private:
  std::vector<waker> wakers_;  // each written by its task as it suspends
  std::atomic<std::int64_t> waiting_{0};
  std::atomic<bool> released_{false};
};

void all_waiting(trial& in) {
  if (mebibytes("/proc/meminfo", "MemAvailable") < 8 * 1024) {
    return in.state.SkipWithError(
        "a million waiting tasks need 8 GiB of available memory");
  }
  memory_peak peak;
  measure_batches(in.state, million, [](std::int64_t n) {
    crowd all(n);
    std::vector<join_handle<int>> handles;
    handles.reserve(static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) {
      handles.push_back(spawn([i, &all] { return all.wait(i), 1; }));
    }
    while (!all.is_complete()) yield();
    all.release();
    std::int64_t sum = 0;
    for (auto& h : handles) sum += h.join();
    return sum;
  });
  report(in.state, peak.value());
}

}  // namespace

void add_spawn_million() {
  add("spawn_million", every_model, &spawn_and_join);
  // Not with two workers: they would race for memory, not for tasks.
  add("spawn_million_waiting", {stealing_1, sharded_1}, &all_waiting);
}

}  // namespace duel::micro
