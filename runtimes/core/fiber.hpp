// fiber.hpp - a function with a stack of its own that can be left and entered again.
//
// fiber.hpp and fiber.cpp are the only files of the kit that switch stacks, and so the
// only ones that tell the sanitizers about it and keep the C++ runtime's exception state
// with the fiber. A fiber may be resumed by a different thread each time; two threads
// must never do so at once (the RUNNING bit of task_state sees to that).
//
// resume() and suspend() are inlined by force, for two reasons. An annotation for
// ThreadSanitizer must stand in the function that jumps: a helper of its own would return
// on the other stack's shadow. And after a jump every return on the way up is
// mispredicted.
//
// On Boost.Context's fcontext rather than boost::context::fiber: the latter's constructor
// jumps, which breaks ThreadSanitizer's shadow stack.
#pragma once

#include <cxxabi.h>

#include <boost/context/detail/fcontext.hpp>
#include <utility>

#include "runtimes/core/stack_pool.hpp"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

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
  [[gnu::always_inline]] inline bool resume() noexcept;
  [[nodiscard]] stack release_stack() noexcept;

  // Where a suspended fiber continues; what it touches first lies just above. Null before
  // prepare(). For prefetching: mapped as long as the pool lives, whatever becomes of the
  // fiber.
  [[nodiscard]] const void* stack_top() const noexcept { return context_; }

  // Fiber side: back to whoever resumed. Returns at the next resume, perhaps on another
  // thread: errno and addresses of thread-local variables from before are worthless
  // after.
  [[gnu::always_inline]] inline void suspend() noexcept;

 private:
  friend struct fiber_entry;

  // The unwinder's per-thread state (caught exceptions, uncaught count; Itanium C++
  // ABI 2.2.2).
  struct exception_state {
    void* caught = nullptr;
    unsigned int uncaught = 0;
    // Member by member: copied as a block, 16 bytes would be loaded where 8 and 4 have
    // just been stored, and wait for both.
    void swap(exception_state& other) noexcept {
      std::swap(caught, other.caught);
      std::swap(uncaught, other.uncaught);
    }
  };

  void* context_ = nullptr;  // where to continue: the fiber's while suspended
  void* resumer_ = nullptr;  // where resume() continues; valid while running
  stack stack_;
  entry_fn entry_ = nullptr;
  void* argument_ = nullptr;
  exception_state
      exceptions_;  // the fiber's while suspended, the resumer's while running
  bool finished_ = false;
  void* tsan_fiber_ = nullptr;
  void* tsan_resumer_ = nullptr;
  void* asan_fake_stack_ = nullptr;
  const void* asan_resumer_stack_ = nullptr;
  std::size_t asan_resumer_size_ = 0;
};

bool fiber::resume() noexcept {
  auto& globals = *reinterpret_cast<exception_state*>(abi::__cxa_get_globals());
  globals.swap(exceptions_);
#if defined(__SANITIZE_ADDRESS__)
  void* fake_stack;
  __sanitizer_start_switch_fiber(&fake_stack, stack_.data(), stack_.size());
#endif
#if defined(__SANITIZE_THREAD__)
  tsan_resumer_ = __tsan_get_current_fiber();
  // 0: leaving one fiber happens before entering the next on this thread, which is true.
  // Order between threads has to come from our atomics, and that is what we want checked.
  __tsan_switch_to_fiber(tsan_fiber_, 0);
#endif
  context_ = boost::context::detail::jump_fcontext(context_, this).fctx;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
  globals.swap(exceptions_);
  return finished_;
}

void fiber::suspend() noexcept {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&asan_fake_stack_, asan_resumer_stack_,
                                 asan_resumer_size_);
#endif
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(tsan_resumer_, 0);
#endif
  resumer_ = boost::context::detail::jump_fcontext(resumer_, nullptr).fctx;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(asan_fake_stack_, &asan_resumer_stack_,
                                  &asan_resumer_size_);
#endif
}

}  // namespace duel
