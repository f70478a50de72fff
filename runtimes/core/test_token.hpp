// test_token.hpp - for tests: a task that is only ever queued, so it needs no scheduler.
#pragma once

#include <atomic>

#include "runtimes/core/scheduler.hpp"

namespace duel {

struct test_token final : task {
  test_token() : task(*reinterpret_cast<scheduler*>(this), false) {}
  void run_body() noexcept override {}
  void fail(std::exception_ptr) noexcept override {}
  void drop_result() noexcept override {}
  std::atomic<int> seen{0};
};

}  // namespace duel
