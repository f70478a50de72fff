// response.hpp - how an answer is written: its head, and the responder a handler writes
// to.
#pragma once

#include <cstdint>

#include "servers/http/output.hpp"
#include "servers/http/request.hpp"

namespace duel::http {

inline constexpr std::string_view text_plain = "text/plain";

enum class persistence : std::uint8_t {
  implied,  // HTTP/1.1: the connection stays open, and nothing needs to be said
  stated,   // HTTP/1.0 with keep-alive
  close,
};

struct response_head {
  int status = 200;  // one of those that reason() knows
  persistence after = persistence::implied;
  std::string_view content_type;  // at most 64 bytes
  std::uint64_t content_length = 0;
  std::string_view allow;  // empty: no Allow header; at most 64 bytes
};

// Room that any head fits in.
inline constexpr std::size_t max_head = 512;

[[nodiscard]] std::string_view reason(int status) noexcept;  // "Not Found"
// Writes status line, headers and the empty line; returns the end. Does not wait.
[[nodiscard]] char* write_head(char* at, const response_head& head,
                               time_point now) noexcept;

// One answer to one request. A handler calls send(), or begin() and then write() until
// the announced length is reached or write() says false. For HEAD only the head is sent.
class responder {
 public:
  // `yields_to_drain`: a drain that has begun by the time the head is written closes the
  // connection after this answer, and the head says so.
  responder(output& out, bool is_head, persistence after,
            bool yields_to_drain = false) noexcept
      : out_(out), is_head_(is_head), yields_to_drain_(yields_to_drain), after_(after) {}

  // The handler may have taken its time when it begins to answer.
  void expect_wait() noexcept { may_be_late_ = true; }

  void send(int status, std::string_view content_type, std::string_view body);
  void begin(const response_head& head);
  // What exceeds the announced length is dropped. False: no more is wanted; the client is
  // gone or asked for the head only.
  bool write(std::string_view part);

  [[nodiscard]] bool has_begun() const noexcept { return begun_; }
  [[nodiscard]] bool closes() const noexcept { return after_ == persistence::close; }
  [[nodiscard]] bool is_complete() const noexcept {
    return begun_ && left_ == 0 && out_.is_ok();
  }

 private:
  output& out_;
  const bool is_head_;
  const bool yields_to_drain_;
  persistence after_;
  bool begun_ = false;
  bool may_be_late_ = false;
  std::uint64_t left_ = 0;  // bytes of body announced and not yet written
};

}  // namespace duel::http
