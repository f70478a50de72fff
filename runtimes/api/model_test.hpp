// model_test.hpp - a GoogleTest fixture that runs its body under a model and afterwards
// demands that nothing is left: no task, no stack, no descriptor.
#pragma once

#include <gtest/gtest.h>
#include <pthread.h>

#include <cerrno>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "runtimes/core/config.hpp"
#include "runtimes/models.hpp"

namespace duel {

struct test_model {
  std::string model;
  unsigned workers;
};

inline std::vector<test_model> fiber_models() {
  return {{"stealing", 1}, {"stealing", 2}, {"stealing", 4},
          {"sharded", 1},  {"sharded", 2},  {"sharded", 4}};
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
  return info.param.model + "_" + std::to_string(info.param.workers);
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
      options.workers = GetParam().workers;
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
  static std::size_t open_descriptors() {
    auto entries = std::filesystem::directory_iterator("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
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
