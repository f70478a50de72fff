// task.hpp - what schedulers schedule: a state word, a body, and what models hang on it.
//
// Ownership: task_state.hpp. Fields say who may touch them. A task is created by spawn()
// (join_handle.hpp), which derives from it to hold the callable and the result.
#pragma once

#include <cstdint>
#include <exception>

#include "runtimes/core/fiber.hpp"
#include "runtimes/core/intrusive_list.hpp"
#include "runtimes/core/prefetch.hpp"
#include "runtimes/core/sync.hpp"
#include "runtimes/core/task_state.hpp"
#include "runtimes/core/waker.hpp"

namespace duel {

class scheduler;

// Called on the scheduler's stack once the suspending task is saved. The waker is the
// task's own: whoever receives it may resume the task at once, even on another core.
struct publication {
  void (*call)(void* context, waker self) = nullptr;
  void* context = nullptr;
};

// Why a task waits; shown wherever tasks are listed.
enum class suspend_reason : std::uint8_t {
  none,
  join,
  sleep,
  accept,
  receive,
  send,
  channel,
  event
};

class task : public list_hook {  // list_hook: the live list, guarded by that list's lock
 public:
  task(scheduler& scheduled_by, bool exclusive) noexcept
      : state(exclusive), owner(scheduled_by) {}
  task(const task&) = delete;
  task& operator=(const task&) = delete;
  virtual ~task() = default;

  virtual void run_body() noexcept = 0;  // stores the result or the exception
  virtual void fail(std::exception_ptr why) noexcept = 0;  // instead of run_body()
  virtual void drop_result() noexcept = 0;                 // destroys what either stored

  task_state state;
  scheduler& owner;

  sync::plain<task*> queue_next = nullptr;  // whoever holds the queue entry
  unsigned home = 0;       // shard that owns it, or worker whose live list has it
  bool is_listed = false;  // in the live list of a fiber scheduler; its own thread only

  // Of the running task only; no other thread looks.
  suspend_reason waits_for = suspend_reason::none;
  std::uint16_t shield = 0;  // > 0: cancellation is not yet visible (shield_scope)
  std::uint16_t budget = 0;  // operations left before it must yield

  // Fiber models: what the task asks of its scheduler as it switches out (step.hpp).
  sync::plain<bool> yields = false;  // from the switch out until the next step
  // Sharded: wakes and cancels under way to its home; the task is not freed before they
  // arrive.
  sync::atomic<std::uint32_t> messages{0};
  publication publish;
  fiber context;
  [[nodiscard]] bool is_fiber() const noexcept { return context.is_prepared(); }

  waker join_cell;  // guarded by JOIN_WAKER, see join_handle.hpp

  // Blocking models: what an OS thread parks on, and the descriptor it is blocked in.
  sync::atomic<std::uint32_t> park_word{0};
  sync::atomic<int> blocked_fd{-1};
};

// Cache lines from the top of a suspended fiber's stack on that most steps touch; in
// numbers, what a waiting HTTP connection leaves there.
inline constexpr std::size_t lines_of_step = 12;

// The end of a running task, on its own stack, after run_body() or fail(): drops a result
// that nobody will join, else publishes it and wakes the joiner. The scheduler then gives
// the life reference back.
void complete_task(task& t) noexcept;

// The task that runs on this thread, or null outside any. Not inlined: a fiber may
// continue on another thread, where an address computed before would be the old thread's.
[[nodiscard, gnu::noinline]] task* current_task() noexcept;

namespace detail {
extern constinit thread_local task* running_task;
}
// For schedulers, on the thread's own stack, which never moves: so this one may be
// inlined.
inline void set_current_task(task* t) noexcept {
  detail::running_task = t;
}

}  // namespace duel
