// text.hpp - how HTTP's text is taken apart: pure functions of characters and lists.
#pragma once

#include <algorithm>
#include <string_view>

namespace duel::http {

[[nodiscard]] constexpr bool is_blank(char c) noexcept {
  return c == ' ' || c == '\t';
}

[[nodiscard]] constexpr bool is_hexadecimal(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
}

// Without regard to the case of ASCII letters.
[[nodiscard]] constexpr bool is_same(std::string_view a,
                                     std::string_view lower_case) noexcept {
  return std::ranges::equal(a, lower_case, [](char c, char lower) {
    return (c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c) == lower;
  });
}

[[nodiscard]] constexpr std::string_view trimmed(std::string_view s) noexcept {
  while (!s.empty() && is_blank(s.front())) s.remove_prefix(1);
  while (!s.empty() && is_blank(s.back())) s.remove_suffix(1);
  return s;
}

// Every element of a list that is not empty (RFC 9110, 5.6.1.2).
template <class Each>
void for_elements(std::string_view list, Each each) {
  while (!list.empty()) {
    auto comma = std::min(list.find(','), list.size());
    if (auto element = trimmed(list.substr(0, comma)); !element.empty()) each(element);
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
}

}  // namespace duel::http
