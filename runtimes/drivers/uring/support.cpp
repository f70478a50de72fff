// support.cpp - what this kernel's io_uring has, found out by asking for it.
#include <fmt/format.h>

#include <cerrno>
#include <cstring>

#include "runtimes/drivers/uring/buffer_pool.hpp"
#include "runtimes/drivers/uring/ring.hpp"
#include "runtimes/drivers/uring/uring_driver.hpp"

namespace duel::uring {

namespace {

std::string refused(const char* what, int error, const char* fix) {
  if (error == ENOMEM) fix = "raise ulimit -l, or lower --workers";
  if (error == EMFILE) fix = "raise ulimit -n";
  return fmt::format("{}: {}, errno {} ({}; or use --model stealing or --model threads)",
                     what, std::strerror(error), error, fix);
}

// Whether a message between rings arrives: asked by sending one, because the first
// kernels that took the request did not deliver it to every kind of ring.
bool can_message(task_work work) {
  constexpr auto patience = std::chrono::milliseconds(100);
  constexpr std::uint64_t arrival = 1, failure = 2;
  ring from, to;
  if (from.open(work) || to.open(work)) return false;
  from.ring_other(to, arrival, failure);
  to.enter(clock::now() + patience);
  bool arrived = false;
  to.reap([&](const ::io_uring_cqe& cqe) { arrived = cqe.user_data == arrival; });
  return arrived;
}

}  // namespace

std::expected<options, std::string> supported(options wanted) {
  ring trial;
  int error = trial.open(wanted.work);
  while ((error == EINVAL && wanted.work != task_work::interrupting) ||
         (error == EPERM && wanted.work == task_work::polled)) {
    wanted.work = static_cast<task_work>(static_cast<int>(wanted.work) + 1);
    error = trial.open(wanted.work);
  }
  if (error) {
    return std::unexpected(refused("io_uring is refused", error,
                                   "set sysctl kernel.io_uring_disabled=0 and let the "
                                   "seccomp profile pass io_uring_setup"));
  }
  buffer_pool buffers;
  if (int lacking = buffers.open(trial.raw())) {
    return std::unexpected(refused("io_uring has no provided-buffer rings", lacking,
                                   "they need Linux 5.19"));
  }
  // Multishot receive cannot be asked for; it came with this request, in Linux 6.0.
  auto* probe = ::io_uring_get_probe_ring(&trial.raw());
  if (!probe || !::io_uring_opcode_supported(probe, IORING_OP_SEND_ZC)) {
    wanted.multishot_receive = false;
    if (wanted.send == send_mode::zero_copy) wanted.send = send_mode::queued;
  }
  if (probe) ::io_uring_free_probe(probe);
  wanted.message_doorbell = wanted.message_doorbell && can_message(wanted.work);
  return wanted;
}

}  // namespace duel::uring
