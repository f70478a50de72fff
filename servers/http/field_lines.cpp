#include "servers/http/field_lines.hpp"

#include <algorithm>
#include <cstring>

namespace duel::http {

void field_lines::keep_tail(const char* begin, const char* end) noexcept {
  for (const char* at = end - std::min<std::ptrdiff_t>(end - begin, 8); at != end; ++at) {
    tail_ = tail_ << 8 | static_cast<unsigned char>(*at);
  }
}

field_lines::scanned field_lines::scan(std::string_view piece) noexcept {
  constexpr std::string_view version_begins = "TTP/";  // then "1.1\r"
  const char* begin = piece.data();
  const char* end = begin + piece.size();
  const char* at = begin;
  auto so_far = [&](const char* to) { return static_cast<std::size_t>(to - begin); };
  while (at != end) {
    if (size_ == 0 && (*at == ' ' || *at == '\t')) return {so_far(at), verdict::folded};
    if (size_ == 1 && last() == '\r' && *at != '\n') {
      return {so_far(at), verdict::bare_return};
    }
    if (size_ == 0 && *at == '\r' && end - at > 1 && at[1] != '\n') {
      return {so_far(at + 1), verdict::bare_return};
    }
    auto left = static_cast<std::size_t>(end - at);
    auto* feed = static_cast<const char*>(std::memchr(at, '\n', left));
    if (!feed) {
      size_ += left;
      keep_tail(at, end);
      return {piece.size(), verdict::more};
    }
    char before = feed > at ? feed[-1] : last();
    std::size_t size = size_ + static_cast<std::size_t>(feed - at);  // with its CR
    if (size == 0 || before != '\r') return {so_far(feed), verdict::bare_line_feed};
    if (line_ == 0 && size > 1) {
      if (feed - at < 8) keep_tail(at, feed);
      bool is_http = feed - at < 8 ? tail_ >> 32 == 0x5454502f
                                   : std::string_view(feed - 8, 4) == version_begins;
      if (!is_http) return {so_far(feed), verdict::not_http};
    }
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
