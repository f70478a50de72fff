#include "servers/http/field_lines.hpp"

#include <cstring>

namespace duel::http {

field_lines::scanned field_lines::scan(std::string_view piece) noexcept {
  const char* begin = piece.data();
  const char* end = begin + piece.size();
  const char* at = begin;
  auto so_far = [&](const char* to) { return static_cast<std::size_t>(to - begin); };
  while (at != end) {
    if (size_ == 0 && line_ > 0 && (*at == ' ' || *at == '\t')) {
      return {so_far(at), verdict::folded};
    }
    auto left = static_cast<std::size_t>(end - at);
    auto* feed = static_cast<const char*>(std::memchr(at, '\n', left));
    if (!feed) {
      size_ += left;
      last_ = end[-1];
      return {piece.size(), verdict::more};
    }
    char before = feed > at ? feed[-1] : last_;
    std::size_t size = size_ + static_cast<std::size_t>(feed - at);  // with its CR
    if (size == 0 || before != '\r') return {so_far(feed), verdict::bare_line_feed};
    at = feed + 1;
    size_ = 0;
    if (size > 1) {
      ++line_;
    } else if (line_ > 0) {
      return {so_far(at), verdict::ended};
    }
  }
  return {piece.size(), verdict::more};
}

}  // namespace duel::http
