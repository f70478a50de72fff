// uring_driver_class.hpp - the driver's class, for the two files that implement it:
// uring_driver.cpp, operations on the stacks of their tasks, and completions.cpp.
#pragma once

#include "runtimes/core/block_pool.hpp"
#include "runtimes/drivers/uring/ring.hpp"
#include "runtimes/drivers/uring/uring_driver.hpp"
#include "runtimes/drivers/uring/uring_socket.hpp"

namespace duel::uring {

// Beyond these the multishot request of a socket is ended until its task has caught up: a
// slow reader holds at most 32 buffers, and what the kernel adds before it stops (32
// more). A few hundred of them can still hold all there are, so nobody waits for a buffer
// (receive_directly).
inline constexpr unsigned most_unread = 32, most_accepted = 1024;

// lease_buffer()'s blocks are no provided buffers.
inline constexpr unsigned block_id = ~0u;

class uring_driver final : public polled_driver {
 public:
  uring_driver(timer_service& deadlines, counters& book, const options& chosen) noexcept
      : deadlines_(deadlines), book_(book), chosen_(chosen) {}

  [[nodiscard]] int open() noexcept {
    if (int error = ring_.open(chosen_.work, chosen_.flush)) return error;
    if (int error = buffers_.open(ring_.raw())) return error;
    ring_.watch_doorbell(static_cast<std::uint64_t>(tag::doorbell));
    return 0;
  }

  // --- driver --------------------------------------------------------------------------
  result<std::unique_ptr<socket>> adopt(int fd) override;
  void perform(operation& op) override;
  void finish_sends(socket& s) override {
    await_send(static_cast<uring_socket&>(s), *current_task());
  }
  void close(std::unique_ptr<socket> s) noexcept override;
  buffer_lease lease_buffer() override { return {*this, take_block(), block_id}; }
  void give_back(std::span<std::byte> bytes, unsigned id) noexcept override;

  // --- polled_driver -------------------------------------------------------------------
  unsigned poll(time_point deadline) noexcept override;
  void interrupt() noexcept override { ring_.interrupt(); }
  void interrupt_from(polled_driver& sender) noexcept override;
  [[nodiscard]] bool has_work() const noexcept override { return ring_.has_work(); }

 private:
  void accept(uring_socket& s, operation& op, task& self);
  // Inline by force, as suspend() is and for the same reason: they return after a switch.
  [[gnu::always_inline]] inline void receive(uring_socket& s, operation& op, task& self);
  [[gnu::always_inline]] inline void send(uring_socket& s, operation& op, task& self);

  void spend_budget(task& self);
  // noinline: rare, and inside receive() it would cost every receive.
  [[nodiscard, gnu::noinline]] bool receive_directly(uring_socket& s, operation& op);
  [[nodiscard]] bool send_directly(uring_socket& s, operation& op);
  void await_send(uring_socket& s, task& self);
  static void arm(uring_socket& s, ::io_uring_sqe& sqe, tag what) noexcept;
  void arm_accept(uring_socket& s) noexcept;
  void arm_receive(uring_socket& s) noexcept;
  void arm_readable(uring_socket& s) noexcept;
  void arm_send(uring_socket& s, std::span<const std::byte> data, bool borrow) noexcept;
  void cancel(uring_socket& s, direction& side, tag what) noexcept;
  void end_send(uring_socket& s) noexcept;
  [[gnu::always_inline]] static inline void wait(direction& side, task& self,
                                                 suspend_reason why);

  [[nodiscard]] bool complete(const ::io_uring_cqe& cqe) noexcept;
  void complete_send(uring_socket& s, const ::io_uring_cqe& cqe) noexcept;
  void complete_handed_over(uring_socket& s) noexcept;
  void complete_accept(uring_socket& s, const ::io_uring_cqe& cqe) noexcept;
  void complete_receive(uring_socket& s, const ::io_uring_cqe& cqe) noexcept;

  ring ring_;
  buffer_pool buffers_;  // after the ring: unregistered first
  timer_service& deadlines_;
  counters& book_;
  const options chosen_;
};

}  // namespace duel::uring
