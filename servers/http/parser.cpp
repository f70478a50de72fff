#include "servers/http/parser.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "servers/http/text.hpp"

namespace duel::http {

namespace {

constexpr std::size_t max_value = 264;  // kept of a header's; longer is unknown
constexpr std::size_t kept_memory = 256;
constexpr std::uint8_t max_method = 32;

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

std::optional<method> method_of(unsigned llhttp_method) noexcept {
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
    case HTTP_OPTIONS:
      return method::options;
    default:
      return {};
  }
}

}  // namespace

// llhttp's C callbacks, handed on to the parser they belong to.
struct parser_callbacks {
  static parser& of(llhttp_t* l) noexcept { return *static_cast<parser*>(l->data); }

  static int url(llhttp_t* l, const char* at, std::size_t size) {
    parser& p = of(l);
    std::size_t room = max_target - p.message_.target.size();
    p.message_.target.append(at, std::min(size, room));
    if (size <= room) return HPE_OK;
    p.fail(414, "the request target is longer than 8192 bytes");
    return HPE_USER;
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
    if (p.field_ != parser::field::other)
      append_bounded(p.value_of(p.field_), {at, size});
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
  // Any digits for a version, and no say in who closes: the checks of the head judge
  // both.
  llhttp_.lenient_flags |= LENIENT_VERSION | LENIENT_KEEP_ALIVE;
}

void parser::next() noexcept {
  phase_ = phase::head;
  lines_.begin_head();
  section_bytes_ = 0;
  hosts_ = 0;
  awaits_continue_ = false;
  llhttp_.method = HTTP_GET;  // until the next request names its own
  for (auto& value : values_) shrink(value);
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
  if (says == verdict::bare_return) return fail(400, "a carriage return is on its own");
  if (says == verdict::folded) return fail(400, "a line begins with a blank");
  if (says == verdict::not_http)
    return fail(400, "the request line names no HTTP version");
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
  if (piece.empty()) return fail(431, "a chunk's header is too long");
  auto used = phase_ == phase::extension ? feed_extension(piece) : feed_size(piece);
  input = input.subspan(used);
  section_bytes_ += used;
  if (body_left_ > 0 || phase_ == phase::trailer) {  // llhttp paused behind the header
    llhttp_resume(&llhttp_);
    lines_.begin_trailer();
    section_bytes_ = 0;
    after_digit_ = false;
  }
}

// At most a line; of one with a size only what comes before the extension.
std::size_t parser::feed_size(std::string_view piece) {
  auto stop = std::min(piece.find_first_of("; \t\n"), piece.size() - 1);
  bool is_after_digit = stop > 0 ? is_hexadecimal(piece[stop - 1]) : after_digit_;
  bool extends = is_after_digit && (piece[stop] == ';' || is_blank(piece[stop]));
  if (!extends) ++stop;
  if (stop > 0) run(piece.substr(0, stop));
  after_digit_ = extends || is_hexadecimal(piece[stop - 1]);
  if (extends && phase_ == phase::chunks) {
    phase_ = phase::extension;
    has_semicolon_ = false;
  }
  return stop;
}

// Ignored (RFC 9112, 7.1.1), but for what could be taken for the end of the line.
std::size_t parser::feed_extension(std::string_view piece) noexcept {
  for (std::size_t at = 0; at < piece.size(); ++at) {
    char c = piece[at];
    bool is_text = is_blank(c) || (static_cast<unsigned char>(c) > ' ' && c != 0x7f);
    if (c == '\r' && has_semicolon_) {
      phase_ = phase::chunks;
      return at;
    }
    has_semicolon_ |= c == ';';
    if (!is_text || (!has_semicolon_ && !is_blank(c))) {
      fail(400, "a chunk extension is malformed");
      return at;
    }
  }
  return piece.size();
}

void parser::run(std::string_view piece) {
  llhttp_errno_t error = llhttp_execute(&llhttp_, piece.data(), piece.size());
  if (error == HPE_OK || phase_ == phase::failed) return;
  if (error == HPE_PAUSED) return;  // by chunk_begins()
  if (error == HPE_INVALID_METHOD) {
    phase_ = phase::unknown_method;
    llhttp_.method = HTTP_GET;
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
    if (!is_token_character(c)) return fail(400, "the method is malformed");
    if (++method_size_ > max_method) return fail(501, "the method is not implemented");
  }
}

void parser::fail(int status, std::string_view why) noexcept {
  phase_ = phase::failed;
  error_ = {status, why};
}

void parser::fail_as_llhttp(llhttp_errno_t error) noexcept {
  const char* reason = llhttp_get_error_reason(&llhttp_);
  std::string_view why = reason ? reason : "the request is malformed";
  // A method of RTSP.
  if (error == HPE_INVALID_CONSTANT && why == "Invalid method for HTTP/x.x request") {
    return fail(501, "the method is not implemented");
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
  static constexpr std::string_view kept[] = {"host", "expect", "connection",
                                              "transfer-encoding"};
  auto found =
      std::ranges::find_if(kept, [&](auto& each) { return is_same(name, each); });
  field_ = static_cast<field>(found - kept);
  if (field_ == field::host) {
    if (hosts_ < 2) ++hosts_;
  } else if (field_ != field::other) {
    append_bounded(value_of(field_), ",");
  }
  return HPE_OK;
}

int parser::head_complete() {
  check_head();
  if (phase_ == phase::head) check_framing();
  if (phase_ != phase::failed) check_expectation();
  if (phase_ == phase::failed) return HPE_USER;
  llhttp_.upgrade = 0;  // no protocol is switched: the request is an ordinary one
  message_.minor = std::min<std::uint8_t>(llhttp_.http_minor, 1);
  const auto& options = value_of(field::connection);
  bool closes = options.size() > max_value;
  for_elements(options, [&](auto option) { closes |= is_same(option, "close"); });
  message_.keep_alive = !closes && llhttp_should_keep_alive(&llhttp_) != 0;
  return HPE_OK;
}

// What the head can get wrong that llhttp leaves to us.
void parser::check_head() noexcept {
  if (llhttp_.http_major != 1) return fail(505, "only HTTP/1 is spoken here");
  auto method = method_of(llhttp_.method);
  if (!method) return fail(501, "the method is not implemented");
  message_.method = *method;
  if (hosts_ > 1) return fail(400, "more than one Host header");
  if (hosts_ == 0 && llhttp_.http_minor > 0) return fail(400, "no Host header");
  if (auto& host = value_of(field::host); host != good_host_) {
    // Empty: the client knows no name for this server.
    auto name = trimmed(host);
    if (host.size() > max_value || (!name.empty() && !is_authority(name)))
      return fail(400, "the Host header is malformed");
    good_host_.swap(host);
  }
  auto target = split_target(message_);
  if (target == target_is::malformed) fail(400, "the request target is malformed");
  if (target == target_is::elsewhere) fail(421, "only http is spoken here");
}

void parser::check_framing() noexcept {
  const auto& codings = value_of(field::transfer_encoding);
  if (!codings.empty()) {
    if (llhttp_.http_minor == 0)
      return fail(400, "Transfer-Encoding in an HTTP/1.0 request");
    unsigned chunked = 0, others = 0;
    for_elements(codings,
                 [&](auto coding) { ++(is_same(coding, "chunked") ? chunked : others); });
    auto last = trimmed(std::string_view(codings).substr(codings.rfind(',') + 1));
    if (!is_same(last, "chunked") || chunked != 1 || codings.size() > max_value) {
      return fail(400, "Transfer-Encoding must end in chunked, once");
    }
    if (others > 0) return fail(501, "the transfer coding is not implemented");
    phase_ = phase::chunks;
    section_bytes_ = 0;
  } else if (llhttp_.content_length > 0) {
    if (llhttp_.content_length > most_.body_bytes)
      return fail(413, "the body is too large");
    body_left_ = static_cast<std::size_t>(llhttp_.content_length);
    phase_ = phase::sized_body;
  }
}

void parser::check_expectation() noexcept {
  if (llhttp_.http_minor == 0) return;  // ignored (RFC 9110, 10.1.1)
  for_elements(value_of(field::expect), [this](auto expectation) {
    if (!is_same(expectation, "100-continue")) fail(417, "the expectation cannot be met");
    awaits_continue_ = is_in_body();
  });
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
