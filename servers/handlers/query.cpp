#include "servers/handlers/query.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace duel::handlers {

namespace {

// The first one, if it is given more than once.
std::optional<std::string_view> find(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    auto end = std::min(query.find('&'), query.size());
    std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    auto equals = pair.find('=');
    if (pair.substr(0, equals) != name) continue;
    return equals == std::string_view::npos ? std::string_view{}
                                            : pair.substr(equals + 1);
  }
  return std::nullopt;
}

}  // namespace

std::expected<std::uint64_t, std::string> query_number(std::string_view query,
                                                       std::string_view name,
                                                       std::uint64_t most) {
  auto text = find(query, name);
  if (!text)
    return std::unexpected(fmt::format("the query needs {}=0..{}\n", name, most));
  std::uint64_t value = 0;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc{} || end != text->data() + text->size() || value > most) {
    return std::unexpected(
        fmt::format("{} must be a whole number from 0 to {}\n", name, most));
  }
  return value;
}

}  // namespace duel::handlers
