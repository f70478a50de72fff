// run_queue.hpp - a worker's ring of runnable tasks: the owner pushes and pops, others
// steal half.
//
//        steal      real                    tail
//          v          v                       v
//   ... |  c  |  c  |  r  |  r  |  r  |  r  |     |     | ...     c: a thief copies it
//   out
//                                                                  r: runnable
//
// Indices run freely and wrap; slot = index modulo the capacity. `head_` holds (steal,
// real) in one word, `tail_` is written by the owner alone. Invariants:
//   steal <= real <= tail, tail - steal <= capacity
//   [real, tail) are live; [steal, real) belong to the one thief there is while steal !=
//   real
// FIFO at both ends: server tasks want fairness, fork-join programs would want Chase-Lev.
// 32-bit indices, because 16 bits let a thief sleep through a whole turn (ABA,
// tokio#5041).
//
// push and pop: the owner. steal_into: any other worker's thread, the owner of `into`.
// The design is Tokio's (tokio/src/runtime/scheduler/multi_thread/queue.rs).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "runtimes/core/config.hpp"
#include "runtimes/core/sync.hpp"
#include "runtimes/core/task.hpp"
#include "runtimes/stealing/task_chain.hpp"

namespace duel::stealing {

template <std::uint32_t Capacity = sync::size_of(256u, 4u)>
class basic_run_queue {
  static_assert((Capacity & (Capacity - 1)) == 0 && Capacity >= 2);

 public:
  basic_run_queue() noexcept = default;
  // Indices may begin anywhere: near their end they soon wrap.
  explicit basic_run_queue(std::uint32_t first) noexcept
      : head_(pack(first, first)), tail_(first), touched_(first) {}

  // Puts `t` at the back. Returns what did not fit: nothing, or a chain for the inject
  // queue.
  [[nodiscard]] task_chain push(task& t) noexcept {
    for (;;) {
      auto head =
          head_.load(std::memory_order_acquire);  // (Q2): slots the thief has left
      auto [steal, real] = unpack(head);
      auto tail = tail_.load(std::memory_order_relaxed);  // owner only
      if (tail - steal < Capacity) {
        slots_[tail % Capacity] = &t;
        stack_tops_[tail % Capacity] = t.context.stack_top();
        tail_.store(tail + 1, std::memory_order_release);  // (Q1) publishes the slot
        return {};
      }
      if (steal != real) return task_chain::of(t);  // a thief is about to make room
      if (auto half = overflow(head, tail, t); !half.empty()) return half;
    }
  }

  [[nodiscard]] task* pop() noexcept {
    auto head = head_.load(std::memory_order_acquire);  // (Q2)
    for (;;) {
      auto [steal, real] = unpack(head);
      if (real == tail_.load(std::memory_order_relaxed)) return nullptr;  // owner only
      auto next = real + 1;
      auto moved = steal == real ? pack(next, next) : pack(steal, next);
      // (Q3) with itself in copy_half: the claims of a task are ordered by this word.
      if (head_.compare_exchange_weak(head, moved, std::memory_order_acq_rel,
                                      std::memory_order_acquire)) {  // (Q3)
        prefetch_slot(real + 1);
        return slots_[real % Capacity];
      }
    }
  }

  struct stolen {
    task* first = nullptr;    // to be run at once; null: nothing taken
    std::uint32_t count = 0;  // how many were taken, `first` included
  };

  // Takes half of this queue, rounded up, or `most`: one task is returned, the rest goes
  // to `into`.
  [[nodiscard]] stolen steal_into(basic_run_queue& into,
                                  std::uint32_t most = Capacity) noexcept {
    auto into_tail =
        into.tail_.load(std::memory_order_relaxed);  // owner only: `into` is ours
    auto [into_steal, into_real] =
        unpack(into.head_.load(std::memory_order_acquire));  // (Q2)
    if (into_tail - into_steal > Capacity / 2) return {};
    auto count = copy_half(into, into_tail, most);
    if (count == 0) return {};
    task* first = into.slots_[(into_tail + count - 1) % Capacity];
    if (count > 1)
      into.tail_.store(into_tail + count - 1, std::memory_order_release);  // (Q1)
    return {first, count};
  }

  // Any thread; exact only for the owner.
  [[nodiscard]] std::uint32_t size() const noexcept {
    auto [steal, real] = unpack(head_.load(std::memory_order_acquire));  // (Q2)
    return tail_.load(std::memory_order_acquire) - real;                 // (Q1)
  }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  // Slots the owner may still fill.
  [[nodiscard]] std::uint32_t room() const noexcept {
    auto [steal, real] = unpack(head_.load(std::memory_order_acquire));  // (Q2)
    return Capacity - (tail_.load(std::memory_order_relaxed) - steal);   // owner only
  }

 private:
  struct heads {
    std::uint32_t steal, real;
  };
  static heads unpack(std::uint64_t word) noexcept {
    return {static_cast<std::uint32_t>(word >> 32), static_cast<std::uint32_t>(word)};
  }
  static std::uint64_t pack(std::uint32_t steal, std::uint32_t real) noexcept {
    return std::uint64_t{steal} << 32 | real;
  }

  // The owner is about to run the task before slot `next`: starts loading the one there.
  // That one may be stolen and even gone meanwhile: nothing of it is read but its stack,
  // which stays mapped.
  void prefetch_slot(std::uint32_t next) noexcept {
    auto tail = tail_.load(std::memory_order_relaxed);  // owner only
    if (next == tail) return;
    if (static_cast<std::int32_t>(touched_ - next) <= 0) {
      touched_ = next + std::min<std::uint32_t>(tail - next, touch_ahead);
      for (auto i = next; i != touched_; ++i) {
        if (auto* top = stack_tops_[i % Capacity]) touch_page(top);
      }
    }
    prefetch(slots_[next % Capacity], sizeof(task) / 64);
    if (auto* top = stack_tops_[next % Capacity]) prefetch(top, lines_of_step);
  }

  // Full and no thief: claims everything, keeps the older half (its slots are where the
  // ring continues, so only the tail moves) and returns the younger half with `t` behind
  // it.
  task_chain overflow(std::uint64_t head, std::uint32_t tail, task& t) noexcept {
    constexpr auto half = Capacity / 2;
    // (Q3) a thief that loses to this exchange finds an empty queue.
    if (!head_.compare_exchange_strong(head, pack(tail, tail), std::memory_order_acq_rel,
                                       std::memory_order_relaxed)) {  // relaxed: retried
      return {};
    }
    task_chain chain;
    for (std::uint32_t i = 0; i < half; ++i)
      chain.push(*slots_[(tail + half + i) % Capacity]);
    chain.push(t);
    tail_.store(tail + half, std::memory_order_release);  // (Q1)
    return chain;
  }

  // Claims, copies behind `into`'s tail, then lets go of the slots. Returns how many.
  std::uint32_t copy_half(basic_run_queue& into, std::uint32_t into_tail,
                          std::uint32_t most) noexcept {
    auto head = head_.load(std::memory_order_acquire);  // (Q3)
    std::uint32_t first, count;
    for (;;) {
      auto [steal, real] = unpack(head);
      auto available =
          tail_.load(std::memory_order_acquire) - real;  // (Q1) sees the slots
      if (steal != real || available == 0) return 0;  // another thief is at it, or empty
      first = real;
      count = std::min(available - available / 2, most);
      // (Q3)
      if (head_.compare_exchange_weak(head, pack(steal, real + count),
                                      std::memory_order_acq_rel,
                                      std::memory_order_acquire)) {  // (Q3)
        break;
      }
    }
    for (std::uint32_t i = 0; i < count; ++i) {
      into.slots_[(into_tail + i) % Capacity] = slots_[(first + i) % Capacity];
      into.stack_tops_[(into_tail + i) % Capacity] = stack_tops_[(first + i) % Capacity];
    }
    head = head_.load(std::memory_order_relaxed);  // relaxed: the exchange below decides
    for (;;) {
      auto real = unpack(head).real;
      // (Q2) release: our reads of the slots end before the owner may fill them again.
      if (head_.compare_exchange_weak(head, pack(real, real), std::memory_order_acq_rel,
                                      std::memory_order_relaxed)) {  // relaxed: retried
        return count;
      }
    }
  }

  alignas(no_sharing) sync::atomic<std::uint64_t> head_{0};  // owner and thieves
  alignas(no_sharing) sync::atomic<std::uint32_t> tail_{0};  // written by the owner
  std::array<sync::plain<task*>, Capacity> slots_{};         // see the invariants

  // Hints: where the task in each slot continues (who may touch it: as the slot), and up
  // to which slot the owner has touched these pages, so many at a time that their walks
  // overlap.
  std::array<const void*, Capacity> stack_tops_{};
  std::uint32_t touched_ = 0;
};

using run_queue = basic_run_queue<>;

}  // namespace duel::stealing
