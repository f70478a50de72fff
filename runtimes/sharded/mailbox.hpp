// mailbox.hpp - messages from one shard to another: a bounded ring with one producer and
// one consumer.
//
//        head                 tail            slot = index modulo the capacity
//          v                    v
//   ... |     |  m  |  m  |  m  |     | ...   [head, tail): pushed and not yet handled
//
// There is one for every ordered pair of shards. push: the sender. drain: the receiver.
// The head moves after a message has been handled, so the sender can tell that nothing it
// sent is under way any more; the end of a run rests on that (DESIGN.md). Next:
// parking.hpp.
#pragma once

#include <array>
#include <cstdint>

#include "runtimes/core/config.hpp"
#include "runtimes/core/sync.hpp"

namespace duel::sharded {

class shard;

// Runs on the receiving shard, between two steps of its tasks.
struct message {
  void (*deliver)(shard& here, void* what) noexcept;
  void* what;
  std::uint64_t sent = 0;  // ticks, of those whose way is timed
};

template <std::uint32_t Capacity = sync::size_of(256u, 4u)>
class basic_mailbox {
  static_assert((Capacity & (Capacity - 1)) == 0);

 public:
  // False: full.
  [[nodiscard]] bool push(message m) noexcept {
    auto tail = tail_.load(std::memory_order_relaxed);  // owner only
    if (tail - head_seen_ == Capacity) {
      head_seen_ =
          head_.load(std::memory_order_acquire);  // (M3) the slots below are free
      if (tail - head_seen_ == Capacity) return false;
    }
    slots_[tail % Capacity] = m;
    tail_.store(tail + 1, std::memory_order_release);  // (M1) publishes the slot
    return true;
  }

  // Sender: true once everything pushed has been handled, with all that its handling did.
  [[nodiscard]] bool all_handled() const noexcept {
    return head_.load(std::memory_order_acquire) ==  // (M3) pairs with drain()
           tail_.load(std::memory_order_relaxed);    // owner only
  }

  // Handles what is there now. Returns how many messages.
  template <class Handle>
  std::uint32_t drain(Handle handle) noexcept {
    auto tail = tail_.load(std::memory_order_acquire);   // (M1) pairs with push()
    auto first = head_.load(std::memory_order_relaxed);  // owner only
    for (auto head = first; head != tail;) {
      handle(slots_[head % Capacity]);
      head_.store(++head, std::memory_order_release);  // (M3) the message is handled
    }
    return tail - first;
  }

 private:
  alignas(no_sharing) sync::atomic<std::uint32_t> tail_{0};  // written by the sender
  std::uint32_t head_seen_ = 0;                              // the sender only
  alignas(no_sharing) sync::atomic<std::uint32_t> head_{0};  // written by the receiver
  alignas(no_sharing) std::array<sync::plain<message>, Capacity> slots_;
};

using mailbox = basic_mailbox<>;

}  // namespace duel::sharded
