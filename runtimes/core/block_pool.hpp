// block_pool.hpp - 16 KiB blocks for I/O, kept warm by each thread.
//
// Plain heap memory: a block may be taken on one thread and given back on another. Each
// thread keeps a bounded last-in first-out list, so the usual take is a pop of a block
// that is still in its cache.
#pragma once

#include <cstddef>
#include <span>

namespace duel {

inline constexpr std::size_t block_size = 16 * 1024;  // bytes

// Throws std::bad_alloc. noinline: see current_task().
[[nodiscard, gnu::noinline]] std::span<std::byte> take_block();
[[gnu::noinline]] void give_back_block(std::byte* block) noexcept;

}  // namespace duel
