#include "runtimes/core/block_pool.hpp"

#include <array>
#include <cstdlib>
#include <new>

namespace duel {

namespace {

// 32 blocks are 512 KiB a thread: more than a turn of a worker hands out, little to keep.
struct block_list {
  std::array<std::byte*, 32> block;
  std::size_t count = 0;
  ~block_list() {
    while (count > 0) std::free(block[--count]);
  }
};
thread_local block_list blocks;

// With malloc's header a line more than a power of two, so that the first lines of blocks
// in use together do not all meet in the same sets of the first-level cache.
constexpr std::size_t padding = 48;

}  // namespace

std::span<std::byte> take_block() {
  auto* memory = blocks.count > 0
                     ? blocks.block[--blocks.count]
                     : static_cast<std::byte*>(std::malloc(block_size + padding));
  if (!memory) throw std::bad_alloc();
  return {memory, block_size};
}

void give_back_block(std::byte* block) noexcept {
  if (blocks.count == blocks.block.size()) return std::free(block);
  blocks.block[blocks.count++] = block;
}

}  // namespace duel
