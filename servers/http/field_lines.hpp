// field_lines.hpp - finds the end of a request's head or trailer, and refuses its line
// tricks.
//
// llhttp 8.1 takes a lone LF after the request line and as the final empty line, lone CRs
// before a request, folded headers, and RTSP; two parsers that disagree about where a
// request ends is how requests are smuggled. So lines are checked here, before llhttp
// sees them: each ends in CR LF, none begins with a blank, the first ends in an HTTP
// version. As a by-product the parser knows where the section ends.
//
// Incremental: any split of the same bytes gives the same verdict. One per connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace duel::http {

class field_lines {
 public:
  enum class verdict { more, ended, bare_return, bare_line_feed, folded, not_http };
  struct scanned {
    std::size_t
        size;  // bytes of this piece that belong to the section and are well-formed
    verdict says;
  };

  // A head begins with a request line, before which empty lines are ignored (RFC
  // 9112, 2.2); a trailer may be empty.
  void begin_head() noexcept { *this = {}; }
  void begin_trailer() noexcept {
    *this = {};
    line_ = 1;
  }

  [[nodiscard]] scanned scan(std::string_view piece) noexcept;

  // Nothing has come but empty lines.
  [[nodiscard]] bool is_blank() const noexcept {
    return line_ == 0 && (size_ == 0 || (size_ == 1 && last() == '\r'));
  }
  [[nodiscard]] bool is_in_first_line() const noexcept { return line_ == 0; }

 private:
  [[nodiscard]] char last() const noexcept { return static_cast<char>(tail_); }
  void keep_tail(const char* begin, const char* end) noexcept;

  std::size_t size_ = 0;    // bytes so far of the current line
  std::uint64_t tail_ = 0;  // the last eight of the pieces before, the last one lowest
  unsigned line_ = 0;       // complete lines so far
};

}  // namespace duel::http
