#include "runtimes/explore/arena.hpp"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "runtimes/explore/execution.hpp"

namespace duel::explore {

constinit arena heap;

namespace {
constexpr std::size_t region_size = std::size_t{64} << 20;
constexpr std::size_t least_alignment = 16;
}  // namespace

struct alignas(16) arena::block {
  std::size_t size;
  std::size_t state;  // of these two
  static constexpr std::size_t live = 0x5afe, freed = 0xdead;
};

void arena::reset() noexcept {
  if (base_ == 0) {
    // At an address of its own, so that pointers in traces are the same in every process.
    void* region = ::mmap(reinterpret_cast<void*>(0x10'0000'0000), region_size,
                          PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (region == MAP_FAILED) std::abort();
    base_ = reinterpret_cast<std::uintptr_t>(region);
  }
  used_ = live_ = 0;
}

void* arena::allocate(std::size_t size, std::size_t alignment) noexcept {
  if (alignment < least_alignment) alignment = least_alignment;
  std::size_t at = (used_ + sizeof(block) + alignment - 1) / alignment * alignment;
  if (at + size > region_size) {
    fail(failure::memory, "an execution allocates more than 64 MiB");
  }
  used_ = at + size;
  ++live_;
  auto* memory = reinterpret_cast<std::byte*>(base_ + at);
  ::new (memory - sizeof(block)) block{size, block::live};
  if (world.records()) world.record_allocation(memory, size);
  return memory;
}

void arena::free(void* p) noexcept {
  auto* b = reinterpret_cast<block*>(static_cast<std::byte*>(p) - sizeof(block));
  if (b->state != block::live) world.record_object(p);
  if (b->state == block::freed) fail(failure::memory, "freed twice");
  if (b->state != block::live) fail(failure::memory, "freed, but never allocated");
  if (world.records()) world.record_free(p);
  b->state = block::freed;
  --live_;
  std::memset(p, freed_byte, b->size);
}

}  // namespace duel::explore

// Replaced for the whole program, as the standard allows; the other forms of new and
// delete end up in these.
void* operator new(std::size_t size) {
  if (duel::explore::heap.tracks) return duel::explore::heap.allocate(size, 0);
  void* p = std::malloc(size ? size : 1);
  if (!p) throw std::bad_alloc();
  return p;
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  auto align = static_cast<std::size_t>(alignment);
  if (duel::explore::heap.tracks) return duel::explore::heap.allocate(size, align);
  void* p = std::aligned_alloc(align, (size + align - 1) / align * align);
  if (!p) throw std::bad_alloc();
  return p;
}
void operator delete(void* p) noexcept {
  if (duel::explore::heap.owns(p)) return duel::explore::heap.free(p);
  std::free(p);
}
void operator delete(void* p, std::align_val_t) noexcept {
  operator delete(p);
}
void operator delete(void* p, std::size_t) noexcept {
  operator delete(p);
}
void operator delete(void* p, std::size_t, std::align_val_t) noexcept {
  operator delete(p);
}
