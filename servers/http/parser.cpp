#include "servers/http/parser.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace duel::http {

namespace {

constexpr std::size_t max_value =
    64;  // kept of Expect and Transfer-Encoding; longer is unknown
constexpr std::size_t kept_memory = 256;
constexpr std::uint8_t max_method = 32;

bool is_same(std::string_view a, std::string_view lower_case) noexcept {
  return std::ranges::equal(a, lower_case, [](char c, char lower) {
    return (c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c) == lower;
  });
}

std::string_view trimmed(std::string_view s) noexcept {
  auto first = s.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return s.substr(first, s.find_last_not_of(" \t") - first + 1);
}

void append_bounded(std::string& to, std::string_view part) {
  to.append(part.substr(0, max_value + 1 - std::min(max_value + 1, to.size())));
}

void shrink(std::string& s) noexcept {
  s.clear();
  if (s.capacity() > kept_memory) std::string().swap(s);
}

// RFC 9110, 5.6.2.
bool is_token_character(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         (c != 0 && std::strchr("!#$%&'*+-.^_`|~", c));
}

method method_of(unsigned llhttp_method) noexcept {
  switch (llhttp_method) {
    case HTTP_GET:
      return method::get;
    case HTTP_HEAD:
      return method::head;
    case HTTP_POST:
      return method::post;
    case HTTP_PUT:
      return method::put;
    case HTTP_DELETE:
      return method::removal;
    default:
      return method::other;
  }
}

}  // namespace

// llhttp's C callbacks, handed on to the parser they belong to.
struct parser_callbacks {
  static parser& of(llhttp_t* l) noexcept { return *static_cast<parser*>(l->data); }

  static int url(llhttp_t* l, const char* at, std::size_t size) {
    parser& p = of(l);
    if (p.message_.target.size() + size > max_target) {
      p.fail(414, "the request target is longer than 8192 bytes");
      return HPE_USER;
    }
    p.message_.target.append(at, size);
    return HPE_OK;
  }
  static int name(llhttp_t* l, const char* at, std::size_t size) noexcept {
    parser& p = of(l);
    std::size_t seen = p.name_size_;
    if (seen < sizeof p.name_) {
      std::memcpy(p.name_ + seen, at, std::min(size, sizeof p.name_ - seen));
    }
    p.name_size_ = static_cast<std::uint8_t>(std::min<std::size_t>(seen + size, 255));
    return HPE_OK;
  }
  static int value(llhttp_t* l, const char* at, std::size_t size) {
    parser& p = of(l);
    if (p.field_ < parser::field::expect) return HPE_OK;
    auto& kept = p.field_ == parser::field::expect ? p.expect_ : p.transfer_encoding_;
    append_bounded(kept, {at, size});
    return HPE_OK;
  }
  static int body(llhttp_t* l, const char* at, std::size_t size) {
    return of(l).body_part({at, size});
  }
  static int name_complete(llhttp_t* l) { return of(l).name_complete(); }
  static int head_complete(llhttp_t* l) { return of(l).head_complete(); }
  static int chunk_begins(llhttp_t* l) { return of(l).chunk_begins(); }
  static int message_complete(llhttp_t* l) noexcept {
    of(l).phase_ = parser::phase::complete;
    return HPE_OK;
  }

  static llhttp_settings_t settings() noexcept {
    llhttp_settings_t s;
    llhttp_settings_init(&s);
    s.on_url = &url;
    s.on_header_field = &name;
    s.on_header_field_complete = &name_complete;
    s.on_header_value = &value;
    s.on_headers_complete = &head_complete;
    s.on_chunk_header = &chunk_begins;
    s.on_body = &body;
    s.on_message_complete = &message_complete;
    return s;
  }
};

namespace {
const llhttp_settings_t callbacks = parser_callbacks::settings();
}

parser::parser(limits most) noexcept : most_(most) {
  llhttp_init(&llhttp_, HTTP_REQUEST, &callbacks);
  llhttp_.data = this;
}

void parser::next() noexcept {
  phase_ = phase::head;
  lines_.begin_head();
  section_bytes_ = 0;
  hosts_ = 0;
  awaits_continue_ = false;
  expect_.clear();
  transfer_encoding_.clear();
  shrink(message_.target);
  shrink(message_.body);
}

parsed parser::feed(std::span<const std::byte>& input) {
  while (!input.empty() && phase_ < phase::complete) {
    switch (phase_) {
      case phase::head:
      case phase::trailer:
        feed_lines(input);
        break;
      case phase::unknown_method:
        judge_method({reinterpret_cast<const char*>(input.data()), input.size()});
        input = {};
        break;
      default:
        feed_body(input);
    }
  }
  if (phase_ == phase::complete) return parsed::complete;
  return phase_ == phase::failed ? parsed::failed : parsed::more;
}

// llhttp sees what comes before an offence first, so that the split does not decide which
// of two offences is reported.
void parser::feed_lines(std::span<const std::byte>& input) {
  using verdict = field_lines::verdict;
  const phase section = phase_;
  std::size_t room = most_.head_bytes - section_bytes_;
  std::string_view piece(reinterpret_cast<const char*>(input.data()), input.size());
  auto [size, says] = lines_.scan(piece.substr(0, room));
  section_bytes_ += size;
  input = input.subspan(size);
  run(piece.substr(0, size));
  if (phase_ != section) return;
  if (says == verdict::bare_line_feed)
    return fail(400, "a line ends without carriage return");
  if (says == verdict::folded) return fail(400, "a header line begins with a blank");
  if (says == verdict::ended) {
    return llhttp_.http_major == 2
               ? fail(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
               : fail(400, "the head is malformed");
  }
  if (says == verdict::more && !input.empty()) {
    return lines_.is_in_first_line() ? fail(414, "the request line is too long")
                                     : fail(431, "the headers are too long");
  }
}

void parser::feed_body(std::span<const std::byte>& input) {
  std::string_view piece(reinterpret_cast<const char*>(input.data()), input.size());
  if (body_left_ > 0) {
    piece = piece.substr(0, body_left_);
    body_left_ -= piece.size();
    input = input.subspan(piece.size());
    return run(piece);
  }
  // What stands around a chunk: the end of the one before, its size, extensions.
  piece = piece.substr(0, most_.head_bytes - section_bytes_);
  run(piece);
  std::size_t used = piece.size();
  if (body_left_ > 0 || phase_ == phase::trailer) {  // paused behind a chunk's header
    used = static_cast<std::size_t>(llhttp_get_error_pos(&llhttp_) - piece.data());
    llhttp_resume(&llhttp_);
    lines_.begin_trailer();
    section_bytes_ = 0;
  } else {
    section_bytes_ += used;
    if (phase_ == phase::chunks && used < input.size()) {
      fail(431, "a chunk's header is too long");
    }
  }
  input = input.subspan(used);
}

void parser::run(std::string_view piece) {
  llhttp_errno_t error = llhttp_execute(&llhttp_, piece.data(), piece.size());
  if (error == HPE_OK || phase_ == phase::failed) return;
  if (error == HPE_PAUSED) return;  // by chunk_begins()
  if (error == HPE_INVALID_METHOD) {
    phase_ = phase::unknown_method;
    auto at = static_cast<std::size_t>(llhttp_get_error_pos(&llhttp_) - piece.data());
    return judge_method(piece.substr(std::min(at, piece.size())));
  }
  fail_as_llhttp(error);
}

// A token that llhttp does not know is a method not implemented; anything else is no
// HTTP.
void parser::judge_method(std::string_view rest) noexcept {
  for (char c : rest) {
    if (c == ' ') return fail(501, "the method is not implemented");
    if (!is_token_character(c) || ++method_size_ > max_method) {
      return fail(400, "the method is malformed");
    }
  }
}

void parser::fail(int status, std::string_view why) noexcept {
  phase_ = phase::failed;
  error_ = {status, why};
}

void parser::fail_as_llhttp(llhttp_errno_t error) noexcept {
  const char* reason = llhttp_get_error_reason(&llhttp_);
  std::string_view why = reason ? reason : "the request is malformed";
  // Two digits that name no version llhttp knows, as opposed to something else than
  // digits.
  if (error == HPE_INVALID_VERSION && why == "Invalid HTTP version") {
    return fail(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  }
  fail(400, why);
}

int parser::name_complete() {
  if (name_size_ == 0) {
    fail(400, "a header has no name");
    return HPE_USER;
  }
  std::string_view name(name_, std::min<std::size_t>(name_size_, sizeof name_));
  bool fits = name_size_ <= sizeof name_;
  name_size_ = 0;
  field_ = field::other;
  if (!fits || phase_ == phase::trailer) return HPE_OK;
  if (is_same(name, "host")) {
    field_ = field::host;
    if (hosts_ < 2) ++hosts_;
  } else if (is_same(name, "expect")) {
    field_ = field::expect;
    if (!expect_.empty()) append_bounded(expect_, ",");
  } else if (is_same(name, "transfer-encoding")) {
    field_ = field::transfer_encoding;
    if (!transfer_encoding_.empty()) append_bounded(transfer_encoding_, ",");
  }
  return HPE_OK;
}

int parser::head_complete() {
  check_framing();
  if (phase_ == phase::failed) return HPE_USER;
  llhttp_.upgrade = 0;  // no protocol is switched: the request is an ordinary one
  message_.method = method_of(llhttp_.method);
  message_.minor = llhttp_.http_minor;
  message_.keep_alive = llhttp_should_keep_alive(&llhttp_) != 0;
  return HPE_OK;
}

// Everything the head can get wrong that llhttp leaves to us.
void parser::check_framing() noexcept {
  if (llhttp_.http_major != 1 || llhttp_.http_minor > 1) {
    return fail(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  }
  if (llhttp_.method == HTTP_CONNECT) return fail(501, "the method is not implemented");
  if (hosts_ > 1) return fail(400, "more than one Host header");
  if (hosts_ == 0 && llhttp_.http_minor == 1) return fail(400, "no Host header");
  if (!split_target(message_)) return fail(400, "the request target is malformed");
  if (llhttp_.flags & F_TRANSFER_ENCODING) {
    if (llhttp_.http_minor == 0)
      return fail(400, "Transfer-Encoding in an HTTP/1.0 request");
    unsigned chunked = 0;
    for (std::string_view rest = transfer_encoding_; !rest.empty();) {
      auto comma = std::min(rest.find(','), rest.size());
      std::string_view coding = trimmed(rest.substr(0, comma));
      rest.remove_prefix(std::min(comma + 1, rest.size()));
      if (coding.empty()) continue;
      if (!is_same(coding, "chunked"))
        return fail(501, "the transfer coding is not implemented");
      ++chunked;
    }
    if (chunked != 1) return fail(400, "Transfer-Encoding must be chunked, once");
    phase_ = phase::chunks;
    section_bytes_ = 0;
  } else if (llhttp_.content_length > 0) {
    if (llhttp_.content_length > most_.body_bytes)
      return fail(413, "the body is too large");
    body_left_ = static_cast<std::size_t>(llhttp_.content_length);
    phase_ = phase::sized_body;
  }
  if (expect_.empty() || llhttp_.http_minor == 0)
    return;  // RFC 9110, 10.1.1: ignored in 1.0
  if (!is_same(trimmed(expect_), "100-continue")) {
    return fail(417, "the expectation cannot be met");
  }
  awaits_continue_ = phase_ != phase::head;
}

int parser::chunk_begins() {
  if (llhttp_.content_length == 0) {
    phase_ = phase::trailer;
    return HPE_PAUSED;
  }
  if (llhttp_.content_length > most_.body_bytes - message_.body.size()) {
    fail(413, "the body is too large");
    return HPE_USER;
  }
  body_left_ = static_cast<std::size_t>(llhttp_.content_length);
  return HPE_PAUSED;
}

int parser::body_part(std::string_view part) {
  awaits_continue_ = false;
  message_.body.append(part);
  return HPE_OK;
}

}  // namespace duel::http
