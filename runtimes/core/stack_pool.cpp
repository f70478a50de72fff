#include "runtimes/core/stack_pool.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace duel {

namespace {

// Linux 6.13; Debian 12's headers do not name it.
constexpr int madv_guard_install = 102;
constexpr std::size_t stacks_per_slab = sync::size_of(64, 2);
// Stacks that began at the same offset of their pages would all use the same few sets of
// the first-level cache; each begins up to 15 lines lower than its neighbour.
constexpr std::size_t colours = 16, colour_step = 64;  // bytes

std::size_t page_size() {
  static const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

// Asked of the kernel once, with a page of its own.
bool has_guard_install() {
  static const bool has = [] {
    void* page = ::mmap(nullptr, page_size(), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return false;
    bool works = ::madvise(page, page_size(), madv_guard_install) == 0;
    ::munmap(page, page_size());
    return works;
  }();
  return has;
}

[[noreturn]] void out_of_stacks(int error, const char* step) {
  throw std::system_error(
      error, std::generic_category(),
      std::string("no memory for another fiber stack (") + step +
          "): raise vm.max_map_count or ulimit -v, or lower the load");
}

}  // namespace

stack_pool::stack_pool(std::size_t stack_size) noexcept
    : stride_((stack_size + page_size() - 1) / page_size() * page_size() + page_size()) {}

stack_pool::~stack_pool() {
  DUEL_ASSERT(available() == mapped());
  for (auto slab : slabs_) {
#if defined(__SANITIZE_ADDRESS__)
    // The next mapping at this address must not inherit the red zones of our frames.
    __asan_unpoison_memory_region(slab.data(), slab.size());
#endif
    ::munmap(slab.data(), slab.size());
  }
}

void stack_pool::map_slab() {
  std::size_t slab_size = stacks_per_slab * stride_;
  void* memory = ::mmap(nullptr, slab_size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED) out_of_stacks(errno, "mmap");
  // A huge page would make every first touch cost 2 MiB.
  ::madvise(memory, slab_size, MADV_NOHUGEPAGE);
  auto* base = static_cast<std::byte*>(memory);
  for (std::size_t i = 0; i < stacks_per_slab; ++i) {
    std::byte* guard = base + i * stride_;
    int refused = has_guard_install() ? ::madvise(guard, page_size(), madv_guard_install)
                                      : ::mprotect(guard, page_size(), PROT_NONE);
    if (refused) {
      int error = errno;
      ::munmap(memory, slab_size);
      out_of_stacks(error, "guard page");
    }
  }
  slabs_.emplace_back(base, slab_size);
  for (std::size_t i = stacks_per_slab; i-- > 0;) {
    std::size_t size = stride_ - page_size() - i % colours * colour_step;
    free_.emplace_back(base + i * stride_ + page_size(), size);
  }
}

void stack_pool::take(std::vector<stack>& out, std::size_t want) {
  std::lock_guard lock(mutex_);
  if (free_.empty()) map_slab();
  std::size_t count = std::min(want, free_.size());
  out.insert(out.end(), free_.end() - static_cast<std::ptrdiff_t>(count), free_.end());
  free_.resize(free_.size() - count);
}

void stack_pool::give_back(std::vector<stack>& from, std::size_t count) {
  std::lock_guard lock(mutex_);
  free_.insert(free_.end(), from.end() - static_cast<std::ptrdiff_t>(count), from.end());
  from.resize(from.size() - count);
}

std::size_t stack_pool::mapped() const {
  std::lock_guard lock(mutex_);
  return slabs_.size() * stacks_per_slab;
}

std::size_t stack_pool::available() const {
  std::lock_guard lock(mutex_);
  return free_.size();
}

std::string_view stack_pool::guard_kind() const noexcept {
  return has_guard_install() ? "guard-install" : "mprotect";
}

}  // namespace duel
