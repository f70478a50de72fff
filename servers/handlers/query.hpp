// query.hpp - a number from a request's query string.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace duel::handlers {

// The value of `name` in "a=1&b=2": decimal digits, at most `most`. The error is a line
// of text for the client that names the parameter.
[[nodiscard]] std::expected<std::uint64_t, std::string> query_number(
    std::string_view query, std::string_view name, std::uint64_t most);

}  // namespace duel::handlers
