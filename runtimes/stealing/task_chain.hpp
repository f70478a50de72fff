// task_chain.hpp - a singly linked list of tasks through task::queue_next, owned by one
// thread.
#pragma once

#include <cstddef>
#include <utility>

#include "runtimes/core/sync.hpp"
#include "runtimes/core/task.hpp"

namespace duel::stealing {

class task_chain {
 public:
  [[nodiscard]] static task_chain of(task& t) noexcept {
    task_chain chain;
    chain.push(t);
    return chain;
  }
  [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  void push(task& t) noexcept {
    t.queue_next = nullptr;
    (last_ ? last_->queue_next : first_) = &t;
    last_ = &t;
    ++size_;
  }
  [[nodiscard]] task* pop() noexcept {
    task* t = first_;
    if (!t) return nullptr;
    first_ = std::exchange(t->queue_next, nullptr);
    if (!first_) last_ = nullptr;
    --size_;
    return t;
  }
  // Moves all of `other` behind this chain.
  void append(task_chain& other) noexcept {
    if (other.empty()) return;
    (last_ ? last_->queue_next : first_) = other.first_;
    last_ = other.last_;
    size_ += other.size_;
    other = {};
  }

 private:
  sync::plain<task*> first_ = nullptr;
  sync::plain<task*> last_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace duel::stealing
