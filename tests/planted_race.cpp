// planted_race.cpp - two fibers on two workers add to one plain variable. ThreadSanitizer
// must say so: else the fiber annotations hide races, and its silence elsewhere means
// nothing.
//
//   planted_race [--migrating | --fixed]
//
// --migrating: the fibers yield, and so move between workers, all the while. --fixed: the
// same under a mutex, which must be reported clean. Exit codes: 0 no report, 3 the fibers
// never ran on both workers.
#include <atomic>
#include <cstdio>
#include <cstring>
#include <mutex>

#include "runtimes/api/task.hpp"
#include "runtimes/core/clock.hpp"
#include "runtimes/models.hpp"

namespace {

constexpr int rounds = 1000;

int planted = 0;
std::mutex planted_mutex;
std::atomic<int> arrived{0};

[[gnu::noinline]] void add_without_order() {
  ++planted;
}

[[gnu::noinline]] void add_in_order() {
  std::lock_guard lock(planted_mutex);
  ++planted;
}

// True once two fibers are here at once, which takes two workers. Not ordering: relaxed.
bool meet_on_two_workers() {
  arrived.fetch_add(1,
                    std::memory_order_relaxed);  // relaxed: must not order the additions
  auto give_up = duel::clock::now() + std::chrono::seconds(30);
  while (arrived.load(std::memory_order_relaxed) < 2) {  // relaxed: the same
    if (duel::clock::now() > give_up) return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  auto has = [&](const char* flag) {
    return argc > 1 && std::strcmp(argv[1], flag) == 0;
  };
  auto add = has("--fixed") ? add_in_order : add_without_order;
  bool migrates = has("--migrating") || has("--fixed");
  auto model = duel::make_model({.model = "stealing", .workers = 2});
  if (!model) return std::fprintf(stderr, "%s\n", model.error().c_str()), 2;
  std::atomic<bool> met{true};
  (*model)->run([&] {
    auto body = [&] {
      if (!meet_on_two_workers()) met = false;
      for (int i = 0; i < rounds; ++i) {
        add();
        if (migrates) duel::yield();
      }
    };
    auto one = duel::spawn(body);
    auto other = duel::spawn(body);
    one.join();
    other.join();
  });
  if (!met) return 3;
  std::printf("%d\n", planted);
  return 0;
}
