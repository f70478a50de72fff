#include "runtimes/core/fiber.hpp"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace duel {

namespace context = boost::context::detail;

struct fiber_entry {
  // The first code on a new stack. Never returns: a finished fiber jumps out for the last
  // time.
  static void run(context::transfer_t from) noexcept {
    auto& self = *static_cast<fiber*>(from.data);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &self.asan_resumer_stack_,
                                    &self.asan_resumer_size_);
#endif
    self.resumer_ = from.fctx;
    self.entry_(self.argument_);
    self.finished_ = true;
#if defined(__SANITIZE_ADDRESS__)
    // A null handle frees the fake stack: this is the last time we leave.
    __sanitizer_start_switch_fiber(nullptr, self.asan_resumer_stack_,
                                   self.asan_resumer_size_);
#endif
#if defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(self.tsan_resumer_, 0);
#endif
    context::jump_fcontext(self.resumer_, nullptr);
    __builtin_unreachable();
  }
};

void fiber::prepare(stack on, entry_fn entry, void* argument) noexcept {
#if defined(__SANITIZE_ADDRESS__)
  // Frames of the stack's last user were left without running their epilogues.
  __asan_unpoison_memory_region(on.data(), on.size());
#endif
#if defined(__SANITIZE_THREAD__)
  tsan_fiber_ = __tsan_create_fiber(0);
#endif
  stack_ = on;
  entry_ = entry;
  argument_ = argument;
  context_ = context::make_fcontext(on.data() + on.size(), on.size(), &fiber_entry::run);
}

stack fiber::release_stack() noexcept {
#if defined(__SANITIZE_THREAD__)
  __tsan_destroy_fiber(tsan_fiber_);
#endif
  context_ = nullptr;
  return std::exchange(stack_, {});
}

}  // namespace duel
