// test_model.hpp - for tests: sharded schedulers on either driver, and what must be left
// of them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "runtimes/models.hpp"

namespace duel::sharded {

using choices = std::map<std::string, std::string>;  // of switches

inline std::unique_ptr<duel::scheduler> make_test_model(unsigned shards,
                                                        std::string driver = "uring",
                                                        choices chosen = {}) {
  chosen.emplace("pin", "off");
  auto made = make_model({.model = "sharded",
                          .driver = std::move(driver),
                          .workers = shards,
                          .switches = std::move(chosen)});
  if (!made) throw std::runtime_error(made.error());
  return std::move(*made);
}

// For suites that every driver passes, whatever its switches.
struct shards_on {
  unsigned shards;
  std::string driver;
  choices chosen = {};
};
inline auto every_driver() {
  return testing::Values(
      shards_on{1, "uring"}, shards_on{2, "uring"}, shards_on{4, "uring"},
      shards_on{1, "epoll"}, shards_on{2, "epoll"}, shards_on{4, "epoll"},
      shards_on{2, "epoll", {{"spin-us", "100"}}},
      shards_on{2, "uring", {{"spin-us", "100"}}},
      shards_on{2, "uring", {{"doorbell", "msg-ring"}}},
      shards_on{4, "uring", {{"doorbell", "msg-ring"}, {"flush", "idle"}}},
      shards_on{3, "uring", {{"doorbell", "msg-ring"}, {"uring-flags", "sqpoll"}}});
}
inline std::string name_of(const testing::TestParamInfo<shards_on>& p) {
  auto name = p.param.driver + "_" + std::to_string(p.param.shards);
  for (auto& [flag, value] : p.param.chosen) name += "_" + flag + "_" + value;
  std::ranges::replace(name, '-', '_');
  return name;
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
