// fiber.hpp - a function with a stack of its own that can be left and entered again.
//
// fiber.cpp is the only file of the kit that switches stacks, and so the only one that tells
// the sanitizers about it and keeps the C++ runtime's exception state with the fiber. A fiber
// may be resumed by a different thread each time; two threads must never do so at once (the
// RUNNING bit of task_state sees to that).
//
// On Boost.Context's fcontext rather than boost::context::fiber: the latter's constructor
// jumps, which breaks ThreadSanitizer's shadow stack.
#pragma once

#include "runtimes/core/stack_pool.hpp"

namespace duel {

class fiber {
 public:
  using entry_fn = void (*)(void* argument) noexcept;

  fiber() = default;
  fiber(const fiber&) = delete;
  fiber& operator=(const fiber&) = delete;

  // Prepares entry(argument) to run on `on`. Does not switch.
  void prepare(stack on, entry_fn entry, void* argument) noexcept;
  [[nodiscard]] bool is_prepared() const noexcept { return context_ != nullptr; }

  // Scheduler side: runs the fiber until it suspends or its entry returns. True when the
  // entry has returned: take the stack with release_stack().
  bool resume() noexcept;
  [[nodiscard]] stack release_stack() noexcept;

  // Fiber side: back to whoever resumed. Returns at the next resume, perhaps on another
  // thread: errno and addresses of thread-local variables from before are worthless after.
  void suspend() noexcept;

 private:
  friend struct fiber_entry;

  // The unwinder's per-thread state (caught exceptions, uncaught count; Itanium C++ ABI 2.2.2).
  struct exception_state {
    void* caught = nullptr;
    unsigned int uncaught = 0;
  };

  void* context_ = nullptr;  // where to continue: the fiber's while suspended
  void* resumer_ = nullptr;  // where resume() continues; valid while running
  stack stack_;
  entry_fn entry_ = nullptr;
  void* argument_ = nullptr;
  exception_state exceptions_;  // the fiber's while suspended, the resumer's while running
  bool finished_ = false;
  void* tsan_fiber_ = nullptr;
  void* tsan_resumer_ = nullptr;
  void* asan_fake_stack_ = nullptr;
  const void* asan_resumer_stack_ = nullptr;
  std::size_t asan_resumer_size_ = 0;
};

}  // namespace duel
