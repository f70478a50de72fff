#include "bench/load/own_limits.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

namespace duel::load {

namespace {

const char* fix_of(int error) {
  switch (error) {
    case EADDRNOTAVAIL:
      return "check --source, or give more addresses: each has the ports of "
             "net.ipv4.ip_local_port_range";
    case EMFILE:
      return "raise ulimit -n, or fewer --connections";
    case ENFILE:
      return "raise fs.file-max, or fewer --connections";
    case ENOBUFS:
      return "free some memory, or fewer --connections";
    default:
      return nullptr;
  }
}

}  // namespace

bool is_own_limit(int error) {
  return fix_of(error) != nullptr;
}

std::string say_own_limit(int error) {
  return fmt::format("{}: {} ({})", ::strerrorname_np(error), std::strerror(error),
                     fix_of(error));
}

}  // namespace duel::load
