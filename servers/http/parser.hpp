// parser.hpp - bytes to requests: llhttp, fed incrementally, with what it lets through
// refused.
//
// One per connection, used by its task alone. A request's head goes to llhttp as it
// arrives and is not kept; memory is the target (at most max_target), the body (at
// most limits::body_bytes) and a few hundred bytes of four headers' values and the last
// Host. Any split of the same bytes gives the same requests and refusals.
//
// Refused here although llhttp 8.1 takes it: what field_lines.hpp names, an empty header
// name, a missing, second or malformed Host, transfer codings other than chunked, major
// versions other than 1. Taken although llhttp would not: minor versions above 1, blanks
// and quoted strings in chunk extensions. Read next: connection.cpp, which feeds it.
#pragma once

#include <llhttp.h>

#include <cstddef>
#include <span>
#include <utility>

#include "servers/http/field_lines.hpp"
#include "servers/http/request.hpp"

namespace duel::http {

inline constexpr std::size_t max_target = 8192;

struct limits {
  std::size_t head_bytes = 16 * 1024;  // request line and headers; trailers again as much
  std::size_t body_bytes = 1024 * 1024;
};

// Why a request is answered with an error, after which its connection closes.
struct refusal {
  int status = 0;
  std::string_view why;  // static text
};

enum class parsed { more, complete, failed };

class parser {
 public:
  explicit parser(limits most) noexcept;
  parser(const parser&) = delete;
  parser& operator=(const parser&) = delete;

  // Takes bytes from the front of `input` until a request is complete or it is used up.
  // After `complete` call next() first; after `failed` nothing more can be parsed.
  [[nodiscard]] parsed feed(std::span<const std::byte>& input);
  // Forgets the request but for its Host, keeping at most 256 bytes of memory for each
  // of the other texts.
  void next() noexcept;

  [[nodiscard]] const request& message() const noexcept { return message_; }
  [[nodiscard]] const refusal& error() const noexcept { return error_; }
  // The request, whether complete or refused, asks for no content: its answer has none.
  [[nodiscard]] bool is_head() const noexcept { return llhttp_.method == HTTP_HEAD; }
  // No byte of a request has come since the last one was complete.
  [[nodiscard]] bool is_between_requests() const noexcept {
    return phase_ == phase::head && lines_.is_blank();
  }
  // The head is complete and the body is not.
  [[nodiscard]] bool is_in_body() const noexcept {
    return phase_ >= phase::sized_body && phase_ <= phase::trailer;
  }
  // True once, when the client waits for "100 Continue" before it sends the body.
  [[nodiscard]] bool take_continue() noexcept {
    return std::exchange(awaits_continue_, false);
  }

 private:
  enum class phase : std::uint8_t {
    head,
    unknown_method,
    sized_body,
    chunks,
    extension,  // of a chunk's size
    trailer,
    complete,
    failed
  };
  enum class field : std::uint8_t { host, expect, connection, transfer_encoding, other };
  friend struct parser_callbacks;

  void feed_lines(std::span<const std::byte>& input);
  void feed_body(std::span<const std::byte>& input);
  std::size_t feed_size(std::string_view piece);
  std::size_t feed_extension(std::string_view piece) noexcept;
  void run(std::string_view piece);
  void judge_method(std::string_view rest) noexcept;
  void fail(int status, std::string_view why) noexcept;
  void fail_as_llhttp(llhttp_errno_t error) noexcept;

  // What llhttp calls; non-zero stops it.
  int name_complete();
  int head_complete();
  int chunk_begins();
  int body_part(std::string_view part);
  void check_head() noexcept;
  void check_framing() noexcept;
  void check_expectation() noexcept;

  [[nodiscard]] std::string& value_of(field f) noexcept {
    return values_[static_cast<std::size_t>(f)];
  }

  llhttp_t llhttp_;
  field_lines lines_;
  phase phase_ = phase::head;
  field field_ = field::other;  // the header whose value comes next
  bool awaits_continue_ = false;
  bool after_digit_ = false;       // of a chunk's size
  bool has_semicolon_ = false;     // the extension
  std::uint8_t hosts_ = 0;         // Host headers, at most 2 counted
  std::uint8_t name_size_ = 0;     // of the header name so far; may exceed name_'s
  std::uint8_t method_size_ = 0;   // of an unknown method's rest
  char name_[17];                  // its beginning: as long as "transfer-encoding"
  std::size_t section_bytes_ = 0;  // of the head, trailer or chunk's header so far
  std::size_t body_left_ = 0;      // of a body with Content-Length, or of a chunk
  const limits most_;
  // Values, cut after max_value. Those of lists: a comma before each line's.
  std::string values_[static_cast<std::size_t>(field::other)];
  std::string good_host_;  // the last one checked: a connection's hardly ever changes
  refusal error_;
  request message_;
};

}  // namespace duel::http
