// job.hpp - a request in the system, and queues of them.
#pragma once

#include <cstdint>
#include <vector>

namespace duel::sim {

using job_id = std::uint32_t;
inline constexpr std::uint32_t none = ~0u;

struct job {
  std::uint64_t number;  // in the order of arrival
  double arrived;
  double demand;             // time on a core, without the policy's own costs
  std::uint32_t connection;  // or none
  std::uint32_t home;        // the core it comes to where policies have such a thing
  bool is_remote;            // needs a hop
  job_id next;               // in its queue
};

class job_pool {
 public:
  job& operator[](job_id id) noexcept { return jobs_[id]; }

  job_id add(const job& j) {
    if (free_ == none) {
      jobs_.push_back(j);
      return static_cast<job_id>(jobs_.size() - 1);
    }
    auto id = free_;
    free_ = jobs_[id].next;
    jobs_[id] = j;
    return id;
  }

  void remove(job_id id) noexcept {
    jobs_[id].next = free_;
    free_ = id;
  }

 private:
  std::vector<job> jobs_;
  job_id free_ = none;
};

// First in, first out, linked through the jobs themselves.
class job_queue {
 public:
  [[nodiscard]] bool is_empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] job_id front() const noexcept { return head_; }

  void push(job_pool& jobs, job_id id) noexcept {
    jobs[id].next = none;
    (size_ == 0 ? head_ : jobs[tail_].next) = id;
    tail_ = id;
    ++size_;
  }

  job_id pop(job_pool& jobs) noexcept {
    auto id = head_;
    head_ = jobs[id].next;
    --size_;
    return id;
  }

 private:
  job_id head_ = none, tail_ = none;
  std::size_t size_ = 0;
};

}  // namespace duel::sim
