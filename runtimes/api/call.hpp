// call.hpp - for programs: run a function at another home and wait for its result.
//
// The way to data that one home owns: only that home's tasks touch it, so it needs no
// lock. A call is a task there, and a message each way (two back: the wake, and the
// reference it used).
//
// Function and answer lie on the caller's stack. So the caller waits for the answer
// whatever happens, cancelled or not, and the errand answers whatever happens, also when
// it is destroyed because it could not run.
#pragma once

#include <exception>
#include <expected>
#include <system_error>

#include "runtimes/api/task.hpp"
#include "runtimes/core/sync.hpp"

namespace duel {

namespace detail {

template <class F>
class call {
  using result_type = std::invoke_result_t<F&>;

 public:
  explicit call(F& body) noexcept : body_(body), shield_(current_task()->shield) {}
  call(const call&) = delete;
  call& operator=(const call&) = delete;

  // At the home, once. What shields the caller from a drain shields what it waits for.
  void run() noexcept {
    current_task()->shield = shield_;
    try {
      if constexpr (std::is_void_v<result_type>) {
        body_();
        answer_ = {};
      } else {
        answer_ = body_();
      }
    } catch (...) {
      answer_ = std::unexpected(std::current_exception());
    }
  }
  // The caller may be gone as soon as the answer is there: the waker keeps its task.
  void answer(waker caller) noexcept {
    answered_ = true;
    std::move(caller).wake();
  }

  result_type await() {
    while (!answered_) suspend(suspend_reason::event);
    if (!answer_) {
      if (answer_.error()) std::rethrow_exception(answer_.error());
      throw std::system_error(std::make_error_code(std::errc::not_enough_memory),
                              "call_at");
    }
    if constexpr (!std::is_void_v<result_type>) return std::move(*answer_);
  }

 private:
  F& body_;
  const std::uint16_t shield_;
  // No exception and no value: it did not run.
  std::expected<result_type, std::exception_ptr> answer_ = std::unexpected(nullptr);
  sync::atomic<bool> answered_{false};
};

// The task at the home.
template <class F>
class errand {
 public:
  explicit errand(call<F>& what) : what_(what), caller_(waker::of(*current_task())) {}
  errand(errand&&) noexcept = default;
  ~errand() {
    if (caller_) what_.answer(std::move(caller_));
  }
  void operator()() noexcept { what_.run(); }

 private:
  call<F>& what_;
  waker caller_;
};

}  // namespace detail

// What fn() returns, or throws, at a home of the current scheduler (scheduler::homes());
// in place if that is where the caller is.
template <class F>
auto call_at(unsigned home, F fn) -> std::invoke_result_t<F&> {
  task& self = *current_task();
  if (self.owner.homes() == 1 || self.home == home) return fn();
  detail::call<F> there(fn);
  spawn_at(home, detail::errand<F>(there));
  return there.await();
}

}  // namespace duel
