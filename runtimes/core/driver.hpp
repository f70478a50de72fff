// driver.hpp - the seam between waiting and the kernel: how an operation is carried out.
//
// A driver belongs to a scheduler and is called from its tasks. perform() waits as the
// model waits: the task is suspended, or its OS thread blocks.
#pragma once

#include <memory>
#include <string_view>

#include "runtimes/core/operation.hpp"
#include "runtimes/core/result.hpp"

namespace duel {

class driver {
 public:
  virtual ~driver() = default;

  // Takes over an open descriptor. It is set to whatever mode the driver needs. On
  // failure the descriptor is closed.
  [[nodiscard]] virtual result<std::unique_ptr<socket>> adopt(int fd) = 0;

  // Carries out `op` and returns when it is done: op.result says how. Ends early with
  // -ETIMEDOUT at op.deadline and with -ECANCELED when the task is cancelled.
  virtual void perform(operation& op) = 0;

  // Waits until nothing that a send handed over is on its way any more.
  virtual void finish_sends(socket&) {}

  // Ends all use of the socket and closes its descriptor; may suspend. No operation on it
  // is under way; what a send handed over still leaves, until its deadline.
  virtual void close(std::unique_ptr<socket> s) noexcept = 0;

  // A buffer to build output in, from the pool that receive() leases from; never fails
  // other than by std::bad_alloc. Its size is the pool's block size.
  [[nodiscard]] virtual buffer_lease lease_buffer() = 0;
  virtual void give_back(std::span<std::byte> bytes, unsigned id) noexcept = 0;
};

inline void buffer_lease::reset() noexcept {
  if (pool_) std::exchange(pool_, nullptr)->give_back(std::exchange(bytes_, {}), id_);
}

}  // namespace duel
