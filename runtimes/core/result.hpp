// result.hpp - how the kit reports failure: a value or a std::error_code, never an
// exception across a stack switch. Programming errors are assertions; handlers may throw,
// and join() rethrows.
#pragma once

#include <expected>
#include <system_error>

namespace duel {

template <class T>
using result = std::expected<T, std::error_code>;

// An errno value as the error of any result<T>.
[[nodiscard]] inline std::unexpected<std::error_code> failure(int errno_value) noexcept {
  return std::unexpected(std::error_code(errno_value, std::generic_category()));
}

[[nodiscard]] inline std::unexpected<std::error_code> failure(std::errc code) noexcept {
  return std::unexpected(std::make_error_code(code));
}

}  // namespace duel
