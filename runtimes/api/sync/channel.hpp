// channel.hpp - a bounded queue between tasks: send waits while it is full, receive while
// it is empty.
//
// Any number of senders and receivers, in any model, on any shard. The mutex is held for
// a few instructions and never across a wait. A waiting task leaves its waker in a list
// and is woken when its turn may have come; it looks again, for another may have been
// faster.
#pragma once

#include <deque>
#include <mutex>

#include "runtimes/core/intrusive_list.hpp"
#include "runtimes/core/result.hpp"
#include "runtimes/core/suspend.hpp"
#include "runtimes/core/sync.hpp"

namespace duel {

template <class T>
class channel {
 public:
  // `capacity`: values that may wait, at least 1.
  explicit channel(std::size_t capacity) noexcept : capacity_(capacity) {}
  channel(const channel&) = delete;
  channel& operator=(const channel&) = delete;

  // Errors: broken_pipe after close(), operation_canceled.
  result<void> send(T value) {
    std::unique_lock lock(mutex_);
    for (;;) {
      if (closed_) return failure(std::errc::broken_pipe);
      if (values_.size() < capacity_) break;
      if (auto waited = wait_in(senders_, lock); !waited) return waited;
    }
    values_.push_back(std::move(value));
    wake_first(receivers_, lock);
    return {};
  }

  // Errors: broken_pipe when it is closed and empty, operation_canceled.
  result<T> receive() {
    std::unique_lock lock(mutex_);
    while (values_.empty()) {
      if (closed_) return failure(std::errc::broken_pipe);
      if (auto waited = wait_in(receivers_, lock); !waited)
        return std::unexpected(waited.error());
    }
    result<T> value(std::move(values_.front()));
    values_.pop_front();
    wake_first(senders_, lock);
    return value;
  }

  // Ends all waits; what has been sent can still be received. Idempotent.
  void close() {
    std::unique_lock lock(mutex_);
    closed_ = true;
    while (!senders_.empty() || !receivers_.empty()) {
      wake_first(senders_.empty() ? receivers_ : senders_, lock);
      lock.lock();
    }
  }

 private:
  struct waiter : list_hook {  // on the waiting task's stack
    waker self;
  };

  result<void> wait_in(intrusive_list<waiter>& line,
                       std::unique_lock<sync::mutex>& lock) {
    task& self = *current_task();
    if (is_cancelled(self)) return failure(std::errc::operation_canceled);
    waiter me;
    me.self = waker::of(self);
    line.push_back(me);
    lock.unlock();
    suspend(suspend_reason::channel);
    lock.lock();
    if (me.is_linked()) me.unlink();
    return {};  // also if cancelled: what it was woken for it takes first
  }

  // Unlocks before it wakes, so that the woken task finds the mutex free.
  static void wake_first(intrusive_list<waiter>& line,
                         std::unique_lock<sync::mutex>& lock) {
    waker next = take_first(line);
    lock.unlock();
    std::move(next).wake();
  }
  static waker take_first(intrusive_list<waiter>& line) {
    waiter* first = line.pop_front();
    return first ? std::move(first->self) : waker();
  }

  const std::size_t capacity_;
  sync::mutex mutex_;  // guards what follows
  std::deque<T> values_;
  intrusive_list<waiter> senders_, receivers_;
  bool closed_ = false;
};

}  // namespace duel
