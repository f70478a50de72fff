#include "servers/http/response.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "runtimes/api/drain.hpp"
#include "runtimes/api/time.hpp"

namespace duel::http {

namespace {

struct status_text {
  int status;
  std::string_view reason;
};

constexpr status_text statuses[] = {
    {200, "OK"},
    {201, "Created"},
    {400, "Bad Request"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

char* put(char* at, std::string_view text) noexcept {
  std::memcpy(at, text.data(), text.size());
  return at + text.size();
}

}  // namespace

std::string_view reason(int status) noexcept {
  for (const auto& known : statuses) {
    if (known.status == status) return known.reason;
  }
  return "Unknown";
}

char* write_head(char* at, const response_head& head, time_point now) noexcept {
  if (head.status == 200) {
    at = put(at, "HTTP/1.1 200 OK\r\nDate: ");
  } else {
    at = put(at, "HTTP/1.1 ");
    at = std::to_chars(at, at + 3, head.status).ptr;
    at = put(at, " ");
    at = put(at, reason(head.status));
    at = put(at, "\r\nDate: ");
  }
  at = put(at, http_date(now));
  at = put(at, "\r\nContent-Type: ");
  at = put(at, head.content_type);
  at = put(at, "\r\nContent-Length: ");
  at = std::to_chars(at, at + 20, head.content_length).ptr;
  if (!head.allow.empty()) at = put(put(at, "\r\nAllow: "), head.allow);
  if (head.after == persistence::close) at = put(at, "\r\nConnection: close");
  if (head.after == persistence::stated) at = put(at, "\r\nConnection: keep-alive");
  return put(at, "\r\n\r\n");
}

void responder::begin(const response_head& head) {
  if (begun_) return;  // a second answer would be read as the next request's
  begun_ = true;
  left_ = is_head_ ? 0 : head.content_length;
  if (may_be_late_) out_.look_at_clock();
  char* at = out_.reserve(max_head);
  if (!at) return;
  if (yields_to_drain_ && is_draining()) after_ = persistence::close;
  response_head full = head;
  full.after = after_;
  out_.commit(write_head(at, full, out_.now()));
}

bool responder::write(std::string_view part) {
  if (is_head_) return false;
  part = part.substr(
      0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, part.size())));
  left_ -= part.size();
  return out_.write(part);
}

void responder::send(int status, std::string_view content_type, std::string_view body) {
  begin({.status = status, .content_type = content_type, .content_length = body.size()});
  write(body);
}

}  // namespace duel::http
