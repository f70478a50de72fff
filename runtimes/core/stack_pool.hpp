// stack_pool.hpp - stacks for fibers: mapped in slabs, guarded, reused last-in first-out.
//
//   slab (one mapping)   | guard | stack 0 ....... | guard | stack 1 ....... | ...
//
// The guard is the lowest page of each stack. Where the kernel has MADV_GUARD_INSTALL
// (Linux 6.13) it is a page-table marker and the whole slab stays one mapping; elsewhere
// mprotect splits the slab and vm.max_map_count bounds the number of stacks (near 32,000
// with the default). Untouched pages cost nothing. A slab is never returned before the
// pool dies.
//
// stack_pool is shared by all workers and locks; stack_cache is one worker's share of it.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "runtimes/core/config.hpp"
#include "runtimes/core/sync.hpp"

namespace duel {

// Usable memory of one stack, without its guard page.
using stack = std::span<std::byte>;

// 64 KiB: an HTTP handler uses under 8 KiB, the rest is address space. The sanitizers'
// red zones and their deeper calls need more.
inline constexpr std::size_t default_stack_size =
    (under_asan || under_tsan ? 256 : 64) * 1024;

class stack_pool {
 public:
  explicit stack_pool(std::size_t stack_size = default_stack_size) noexcept;
  stack_pool(const stack_pool&) = delete;
  stack_pool& operator=(const stack_pool&) = delete;
  ~stack_pool();

  // Appends at least one and at most `want` stacks to `out`. Throws std::system_error
  // when the address space or vm.max_map_count is exhausted; the message names the limit.
  void take(std::vector<stack>& out, std::size_t want);
  // Takes back the last `count` stacks of `from`.
  void give_back(std::vector<stack>& from, std::size_t count);

  [[nodiscard]] std::size_t mapped() const;     // stacks that exist
  [[nodiscard]] std::size_t available() const;  // of these, how many are in the pool
  [[nodiscard]] std::string_view guard_kind() const noexcept;

 private:
  void map_slab();

  // Bytes from one stack to the next, guard page included: no power of two, or all stacks
  // would meet in the same sets of the second-level cache.
  const std::size_t stride_;
  mutable sync::mutex mutex_;  // guards what follows
  std::vector<stack> free_;
  std::vector<std::span<std::byte>> slabs_;
};

// One thread's cache: no lock while it neither runs dry nor overflows. Reusing the last
// stack returned keeps its pages warm in the cache.
class stack_cache {
 public:
  explicit stack_cache(stack_pool& pool) noexcept : pool_(pool) {}
  ~stack_cache() { pool_.give_back(local_, local_.size()); }

  [[nodiscard]] stack take() {
    if (local_.empty()) pool_.take(local_, batch);
    stack s = local_.back();
    local_.pop_back();
    return s;
  }
  void give_back(stack s) {
    local_.push_back(s);
    if (local_.size() > 4 * batch) pool_.give_back(local_, 2 * batch);
  }
  [[nodiscard]] std::size_t size() const noexcept { return local_.size(); }

 private:
  static constexpr std::size_t batch = sync::size_of(16, 1);
  stack_pool& pool_;
  std::vector<stack> local_;
};

}  // namespace duel
