// test_model.hpp - for tests: sharded schedulers on io_uring, and what must be left of
// them.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>

#include "runtimes/drivers/uring/uring_driver.hpp"
#include "runtimes/sharded/scheduler.hpp"

namespace duel::sharded {

inline std::unique_ptr<duel::scheduler> make_test_model(unsigned shards,
                                                        uring::options wanted = {}) {
  auto chosen = uring::supported(wanted);
  if (!chosen) throw std::runtime_error(chosen.error());
  auto made = make_scheduler({.shards = shards,
                              .pin = false,
                              .driver = "uring",
                              .settings = uring::describe(*chosen),
                              .make_driver = [use = *chosen](timer_service& t) {
                                return uring::make_driver(t, use);
                              }});
  if (!made) throw std::runtime_error(made.error());
  return std::move(*made);
}

inline std::ptrdiff_t open_descriptors() {
  auto all = std::filesystem::directory_iterator("/proc/self/fd");
  return std::distance(begin(all), end(all));
}

// Runs `main` and checks that nothing is left: no task, no stack, no descriptor.
inline void run_clean(duel::scheduler& model, std::move_only_function<void()> main) {
  auto before = open_descriptors();
  model.run(std::move(main));
  EXPECT_EQ(model.live_tasks(), 0u);
  EXPECT_EQ(model.stacks_in_use(), 0u);
  EXPECT_EQ(open_descriptors(), before);
}

inline std::uint64_t total(const duel::scheduler& model, counter which) {
  std::uint64_t sum = 0;
  for (const counters* c : model.all_counters()) sum += c->get(which);
  return sum;
}

}  // namespace duel::sharded
