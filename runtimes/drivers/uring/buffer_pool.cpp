// buffer_pool.cpp - mapping, registering and handing out the buffers of one ring.
#include "runtimes/drivers/uring/buffer_pool.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <cstdlib>
#include <new>

namespace duel::uring {

namespace {

constexpr std::size_t memory_bytes =
    std::size_t{buffer_pool::most} * buffer_pool::buffer_size;

std::byte* map(std::size_t bytes) noexcept {
  void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return at == MAP_FAILED ? nullptr : static_cast<std::byte*>(at);
}

}  // namespace

int buffer_pool::open(::io_uring& ring) noexcept {
  constexpr std::size_t page = 4096;  // what the kernel wants the ring aligned to
  void* shared = nullptr;
  memory_ = map(memory_bytes);
  links_.reset(new (std::nothrow) link[most]);
  if (!memory_ || !links_ ||
      ::posix_memalign(&shared, page, most * sizeof(::io_uring_buf))) {
    return ENOMEM;
  }
  ::io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uintptr_t>(shared);
  registration.ring_entries = most;
  registration.bgid = group;
  if (int error = ::io_uring_register_buf_ring(&ring, &registration, 0); error < 0) {
    std::free(shared);
    return -error;
  }
  ring_ = &ring;
  shared_ = static_cast<::io_uring_buf_ring*>(shared);
  ::io_uring_buf_ring_init(shared_);
  return replenish() ? 0 : ENOMEM;
}

buffer_pool::~buffer_pool() {
  if (shared_) ::io_uring_unregister_buf_ring(ring_, group);
  std::free(shared_);
  if (memory_) ::munmap(memory_, memory_bytes);
}

void buffer_pool::give_back(unsigned id) noexcept {
  auto bytes = memory(id);
  ::io_uring_buf_ring_add(shared_, bytes.data(), buffer_size,
                          static_cast<unsigned short>(id), ::io_uring_buf_ring_mask(most),
                          0);
  ::io_uring_buf_ring_advance(shared_,
                              1);  // a plain store, as cheap as batching would be
  ++with_kernel_;
}

bool buffer_pool::replenish() noexcept {
  if (with_kernel_ > 0) return true;
  if (count_ == most) return false;
  unsigned until = count_ == 0 ? first_count : 2 * count_;
  while (count_ < until) give_back(count_++);
  return true;
}

}  // namespace duel::uring
