// event_queue.hpp - what happens next: a binary heap by time; first in, first out at one
// time.
#pragma once

#include <cstdint>
#include <vector>

namespace duel::sim {

struct event {
  enum class kind : std::uint32_t { arrival, timer, request };

  double at;
  std::uint64_t number;  // in the order of scheduling
  kind what;
  std::uint32_t who;

  bool operator<(const event& other) const noexcept {
    return at < other.at || (at == other.at && number < other.number);
  }
};

class event_queue {
 public:
  [[nodiscard]] bool is_empty() const noexcept { return heap_.empty(); }

  // Returns the event's number.
  std::uint64_t add(double at, event::kind what, std::uint32_t who) {
    event added{at, next_++, what, who};
    std::size_t hole = heap_.size();
    heap_.push_back(added);
    while (hole > 0) {
      std::size_t parent = (hole - 1) / 2;
      if (!(added < heap_[parent])) break;
      heap_[hole] = heap_[parent];
      hole = parent;
    }
    heap_[hole] = added;
    return added.number;
  }

  event take() {
    event first = heap_.front(), last = heap_.back();
    heap_.pop_back();
    std::size_t hole = 0, size = heap_.size();
    if (size == 0) return first;
    for (std::size_t child; (child = 2 * hole + 1) < size; hole = child) {
      if (child + 1 < size && heap_[child + 1] < heap_[child]) ++child;
      if (!(heap_[child] < last)) break;
      heap_[hole] = heap_[child];
    }
    heap_[hole] = last;
    return first;
  }

 private:
  std::vector<event> heap_;
  std::uint64_t next_ = 0;
};

}  // namespace duel::sim
