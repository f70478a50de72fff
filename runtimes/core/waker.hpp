// waker.hpp - a promise to wake one task: a counted reference and the right to say "run
// again".
//
// Move-only. wake() may be called from any thread, at any time, also after the task
// finished; a woken task may find nothing changed, so every wait is a loop over its
// condition. What it uses last is the task's scheduler: a thread that is none of the
// scheduler's has returned from wake() before the scheduler is destroyed. clone() is for the task's own scheduler (sharded: its own shard), because
// there the reference count is plain memory.
#pragma once

#include <utility>

#include "runtimes/core/sync.hpp"

namespace duel {

class task;

class waker {
 public:
  waker() noexcept = default;
  // Takes over a reference that the caller owns.
  static waker adopt(task& t) noexcept { return waker(&t); }
  // Adds a reference.
  [[nodiscard]] static waker of(task& t) noexcept;

  waker(waker&& other) noexcept : task_(std::exchange(other.task_, nullptr)) {}
  waker& operator=(waker&& other) noexcept {
    if (this != &other) {
      reset();
      task_ = std::exchange(other.task_, nullptr);
    }
    return *this;
  }
  ~waker() { reset(); }

  [[nodiscard]] waker clone() const noexcept { return task_ ? of(*task_) : waker(); }
  void wake() && noexcept;  // wakes, then gives the reference back
  void wake_by_ref() const noexcept;
  void reset() noexcept;
  [[nodiscard]] task* release() noexcept { return std::exchange(task_, nullptr); }

  [[nodiscard]] explicit operator bool() const noexcept { return task_ != nullptr; }
  [[nodiscard]] bool wakes(const task& t) const noexcept { return task_ == &t; }

 private:
  explicit waker(task* t) noexcept : task_(t) {}
  sync::plain<task*> task_ = nullptr;
};

}  // namespace duel
