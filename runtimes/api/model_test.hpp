// model_test.hpp - a GoogleTest fixture that runs its body under a model and afterwards
// demands that nothing is left: no task, no stack, no descriptor.
#pragma once

#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "runtimes/core/config.hpp"
#include "runtimes/models.hpp"

namespace duel {

struct test_model {
  std::string model;
  unsigned workers;
  std::string driver = {};  // empty: the model's default
  std::map<std::string, std::string> switches = {};
};

inline std::vector<test_model> fiber_models() {
  return {{"stealing", 1},          {"stealing", 2},          {"stealing", 4},
          {"sharded", 1},           {"sharded", 2},           {"sharded", 4},
          {"sharded", 1, "epoll"},  {"sharded", 2, "epoll"},  {"sharded", 4, "epoll"},
          {"stealing", 1, "uring"}, {"stealing", 2, "uring"}, {"stealing", 4, "uring"}};
}
// What the switches of the stealing model must not change.
inline std::vector<test_model> stealing_variants() {
  return {{"stealing", 3, "", {{"steal", "one"}, {"lifo", "off"}}},
          {"stealing", 2, "", {{"steal", "off"}}},
          {"stealing", 2, "", {{"queue", "global"}}},
          {"stealing", 3, "", {{"queue", "global"}, {"steal", "off"}, {"lifo", "off"}}},
          {"stealing", 2, "", {{"reactor", "thread"}}},
          {"stealing", 1, "", {{"reactor", "thread"}}},
          {"stealing", 3, "", {{"reactor", "per-worker"}}},
          {"stealing", 2, "", {{"reactor", "per-worker"}, {"steal", "off"}}},
          {"stealing", 2, "", {{"spin-us", "100"}, {"pin", "on"}, {"budget", "3"}}},
          {"stealing", 2, "uring", {{"spin-us", "100"}, {"steal", "one"}}},
          {"stealing", 3, "uring", {{"queue", "global"}}}};
}
inline std::vector<test_model> concurrent_models() {
  auto models = fiber_models();
  models.push_back({"threads", 1});
  return models;
}
inline std::vector<test_model> all_models() {
  auto models = concurrent_models();
  models.push_back({"serial", 1});
  return models;
}
inline std::string model_name(const testing::TestParamInfo<test_model>& info) {
  auto driver = info.param.driver.empty() ? "" : info.param.driver + "_";
  auto name = info.param.model + "_" + driver + std::to_string(info.param.workers);
  for (auto& [flag, value] : info.param.switches) name += "_" + flag + "_" + value;
  std::ranges::replace(name, '-', '_');
  return name;
}

class model_test : public testing::TestWithParam<test_model> {
 protected:
  // Tasks that a test may have alive at once: threads are dear.
  static std::size_t task_count(std::size_t wanted) {
    return GetParam().model == "threads" ? std::min<std::size_t>(wanted, 100) : wanted;
  }

  // `given`: descriptors that `main` takes over and closes.
  void run(std::move_only_function<void()> main, std::size_t given = 0) {
    auto before = open_descriptors() - given;
    {
      model_options options;
      options.model = GetParam().model;
      options.driver = GetParam().driver;
      options.workers = GetParam().workers;
      options.switches = GetParam().switches;
      auto made = make_model(options);
      ASSERT_TRUE(made) << made.error();
      struct leave_nothing {
        scheduler& owner;
        ~leave_nothing() {
          EXPECT_EQ(owner.live_tasks(), 0u);
          EXPECT_EQ(owner.stacks_in_use(), 0u);
        }
      } check{**made};
      (*made)->run(std::move(main));
    }
    EXPECT_EQ(open_descriptors(), before);
  }

 private:
  // The least of some readings: on whichever thread, UBSan opens a pipe for a moment to
  // see whether an address can be read.
  static std::size_t open_descriptors() {
    std::size_t least = SIZE_MAX;
    for (int i = 0; i < 5; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      auto entries = std::filesystem::directory_iterator("/proc/self/fd");
      auto open = std::distance(begin(entries), end(entries));
      least = std::min(least, static_cast<std::size_t>(open));
    }
    return least;
  }
};

// Behind walls, because a fiber may have moved since the compiler last looked.
[[gnu::noinline]] inline pthread_t current_thread_id() {
  asm volatile("");
  return ::pthread_self();
}
[[gnu::noinline]] inline void set_errno(int value) {
  errno = value;
}
[[gnu::noinline]] inline int get_errno() {
  return errno;
}

}  // namespace duel
