// tokens.hpp - for models of queues: tasks that are only ever queued, and who has them.
#pragma once

#include <array>

#include "runtimes/core/scheduler.hpp"
#include "runtimes/explore/engine.hpp"
#include "runtimes/stealing/task_chain.hpp"

namespace duel::explore {

// Queued once and taken once; what its producer wrote is there for whoever takes it.
struct token final : task {
  token() noexcept : task(*reinterpret_cast<scheduler*>(this), false) {}
  void run_body() noexcept override {}
  void fail(std::exception_ptr) noexcept override {}
  void drop_result() noexcept override {}

  enum class place { made, queued, taken };
  sync::plain<place> is{place::made};
};

// Before the push.
inline token& queued(token& t) {
  require(t.is == token::place::made, "a task is queued once");
  t.is = token::place::queued;
  return t;
}

// After the pop. False: nothing there.
inline bool took(task* t) {
  if (!t) return false;
  auto& mine = static_cast<token&>(*t);
  require(mine.is == token::place::queued, "a task is taken once");
  mine.is = token::place::taken;
  return true;
}

inline unsigned took_all(stealing::task_chain chain) {
  unsigned count = 0;
  while (took(chain.pop())) ++count;
  return count;
}

template <std::size_t Count>
void require_all_taken(const std::array<token, Count>& all) {
  for (auto& t : all) require(t.is == token::place::taken, "no task is lost");
}

}  // namespace duel::explore
