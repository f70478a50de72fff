// run_queue.hpp - a shard's runnable tasks, first in first out, linked through the tasks.
//
// Owner thread only: no capacity, no allocation, no atomics. Invariant: a task is in it
// exactly while its state word says NOTIFIED and not RUNNING. Compare
// stealing/run_queue.hpp.
#pragma once

#include <algorithm>
#include <cstddef>

#include "runtimes/core/task.hpp"

namespace duel::sharded {

class run_queue {
 public:
  void push(task& t) noexcept {
    t.queue_next = nullptr;
    (first_ ? last_->queue_next : first_) = &t;
    last_ = &t;
    ++size_;
  }

  // Not empty.
  [[nodiscard]] task& pop() noexcept {
    DUEL_ASSERT(first_);
    task& t = *first_;
    first_ = t.queue_next;
    --size_;
    prefetch_first();
    return t;
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

 private:
  // Starts loading the task that comes after the one that was just taken.
  void prefetch_first() noexcept {
    if (empty()) return;
    if (touched_ == 0) {
      for (task* t = first_; touched_ < std::min(size_, touch_ahead); t = t->queue_next) {
        if (auto* top = t->context.stack_top()) touch_page(top);
        ++touched_;
      }
    }
    --touched_;
    if (auto* top = first_->context.stack_top()) prefetch(top, lines_of_step);
  }

  sync::plain<task*> first_ = nullptr;
  sync::plain<task*> last_ = nullptr;  // meaningless while empty
  std::size_t size_ = 0;
  std::size_t touched_ = 0;  // from the front on: stack pages asked for, prefetch.hpp
};

}  // namespace duel::sharded
