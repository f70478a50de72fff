// pinned_thread.hpp - the calling thread on one CPU for as long as this lives.
#pragma once

#include <sched.h>

#include <optional>
#include <vector>

namespace duel {

// The CPUs that this process may use, in order; empty if there are more than cpu_set_t
// holds.
[[nodiscard]] inline std::vector<int> allowed_cpus() {
  std::vector<int> cpus;
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

// The place of thread `i` among `cpus`: one after the other, and round again.
[[nodiscard]] inline std::optional<int> place_of(unsigned i,
                                                 const std::vector<int>& cpus) {
  if (cpus.empty()) return std::nullopt;
  return cpus[i % cpus.size()];
}

class pinned_thread {
 public:
  explicit pinned_thread(std::optional<int> cpu) noexcept {
    if (!cpu || ::sched_getaffinity(0, sizeof before_, &before_) != 0) return;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(*cpu, &one);
    pinned_ = ::sched_setaffinity(0, sizeof one, &one) == 0;
  }
  ~pinned_thread() {
    if (pinned_) ::sched_setaffinity(0, sizeof before_, &before_);
  }
  pinned_thread(const pinned_thread&) = delete;
  pinned_thread& operator=(const pinned_thread&) = delete;

 private:
  cpu_set_t before_;
  bool pinned_ = false;
};

}  // namespace duel
