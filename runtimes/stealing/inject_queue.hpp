// inject_queue.hpp - tasks that come from outside the workers, or overflow from one of
// them.
//
// A mutex and a chain: it is off the hot path, and a batch costs one lock. Any thread.
// The length is read without the lock to skip an empty queue; a push that this read
// misses is followed by the pusher's own look at who sleeps (parking.hpp, (P1)).
#pragma once

#include <algorithm>
#include <mutex>

#include "runtimes/core/sync.hpp"
#include "runtimes/stealing/task_chain.hpp"

namespace duel::stealing {

class inject_queue {
 public:
  void push(task_chain chain) noexcept {
    std::lock_guard lock(mutex_);
    chain_.append(chain);
    size_.store(chain_.size(), std::memory_order_seq_cst);
  }

  // Up to `most` tasks, oldest first.
  [[nodiscard]] task_chain pop(std::size_t most) noexcept {
    task_chain out;
    if (empty() || most == 0) return out;
    std::lock_guard lock(mutex_);
    while (out.size() < most) {
      task* t = chain_.pop();
      if (!t) break;
      out.push(*t);
    }
    size_.store(chain_.size(), std::memory_order_seq_cst);
    return out;
  }

  [[nodiscard]] std::size_t size() const noexcept {
    return size_.load(std::memory_order_seq_cst);
  }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }

 private:
  sync::mutex mutex_;
  task_chain chain_;                   // guarded by mutex_
  sync::atomic<std::size_t> size_{0};  // written under mutex_
};

}  // namespace duel::stealing
