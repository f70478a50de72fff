// serial_scheduler_test.cpp - a task of the serial model is a call on its spawner's
// stack.
#include "runtimes/serial/serial_scheduler.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "runtimes/api/task.hpp"
#include "runtimes/drivers/blocking/blocking_driver.hpp"

namespace duel {
namespace {

TEST(serial_scheduler, runs_a_task_inside_spawn) {
  auto model = serial::make_scheduler(make_blocking_driver());
  std::vector<std::string> order;
  auto caller = std::this_thread::get_id();
  model->run([&] {
    task* outer = current_task();
    order.push_back("before");
    auto inner = spawn([&] {
      EXPECT_EQ(std::this_thread::get_id(), caller);
      EXPECT_NE(current_task(), outer);
      order.push_back("task");
    });
    EXPECT_TRUE(inner.is_done());
    EXPECT_EQ(current_task(), outer);
    order.push_back("after");
    inner.join();
  });
  EXPECT_EQ(order, (std::vector<std::string>{"before", "task", "after"}));
  EXPECT_EQ(current_task(), nullptr);
}

TEST(serial_scheduler, drops_a_result_that_nobody_joins) {
  auto model = serial::make_scheduler(make_blocking_driver());
  auto alive = std::make_shared<int>(1);
  model->run([&] {
    spawn([copy = alive] { return copy; }).detach();
    auto kept = spawn([copy = alive] { return copy; });
    EXPECT_EQ(alive.use_count(), 2);
    EXPECT_EQ(kept.join(), alive);
  });
  EXPECT_EQ(alive.use_count(), 1);
}

}  // namespace
}  // namespace duel
