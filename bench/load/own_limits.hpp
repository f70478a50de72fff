// own_limits.hpp - errors of connecting that are this machine's, not the server's.
#pragma once

#include <string>

namespace duel::load {

[[nodiscard]] bool is_own_limit(int error);
// `EMFILE: Too many open files (how to fix it)`.
[[nodiscard]] std::string say_own_limit(int error);

}  // namespace duel::load
