// test_reading.hpp - for tests and fuzzing: what a byte stream says to the parser when it
// comes in given pieces.
#pragma once

#include <span>
#include <string>

#include "servers/http/parser.hpp"

namespace duel::http {

// `said`: a line for each request, then how the stream ends; `why`: of a refusal.
struct reading {
  std::string said;
  std::string_view why;
  bool operator==(const reading&) const = default;
};

// `next_piece()` is how many bytes come next, at least 1.
template <class NextPiece>
reading read_in_pieces(std::string_view bytes, limits most, NextPiece next_piece) {
  parser p(most);
  reading r;
  while (!bytes.empty()) {
    std::string part(bytes.substr(0, next_piece()));  // a copy: sanitizers see its end
    bytes.remove_prefix(part.size());
    auto input = std::as_bytes(std::span(part));
    for (parsed got; (got = p.feed(input)) != parsed::more;) {
      if (got == parsed::failed) {
        r.said += std::to_string(p.error().status) + (p.is_head() ? " to HEAD" : "");
        r.why = p.error().why;
        return r;
      }
      const request& m = p.message();
      r.said += std::to_string(static_cast<int>(m.method)) + " " + std::string(m.path) +
                "?" + std::string(m.query) + (m.keep_alive ? " keep" : " close") + " [" +
                m.body + "]\n";
      p.next();
    }
  }
  r.said += p.is_between_requests() ? "idle" : "partial";
  return r;
}

}  // namespace duel::http
