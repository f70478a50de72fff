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

}  // namespace

std::expected<options, std::string> supported(options wanted) {
  ring trial;
  int error = trial.open(wanted.work);
  while (error == EINVAL && wanted.work != task_work::interrupting) {
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
  }
  if (probe) ::io_uring_free_probe(probe);
  return wanted;
}

std::string describe(const options& chosen) {
  const char* work = chosen.work == task_work::deferred      ? "defer-taskrun"
                     : chosen.work == task_work::cooperative ? "coop-taskrun"
                                                             : "plain";
  return fmt::format("ring={} recv={}", work,
                     chosen.multishot_receive ? "multishot" : "oneshot");
}

}  // namespace duel::uring
