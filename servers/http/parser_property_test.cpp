// Whatever bytes come and however they are split: the same requests, the same refusal.
// Streams are requests of every framing, pipelined, some of them with damage.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <iomanip>
#include <numeric>
#include <ostream>
#include <vector>

#include "servers/http/test_reading.hpp"

namespace duel::http {
namespace {

using pieces = std::vector<std::string>;

struct stream {
  std::string bytes;
};
std::ostream& operator<<(std::ostream& out, const stream& s) {
  return out << std::quoted(s.bytes);
}

// Of the whole range at any size: what grows with the size is how many parts there are.
rc::Gen<std::size_t> below(std::size_t end) {
  return rc::gen::resize(rc::kNominalSize, rc::gen::inRange<std::size_t>(0, end));
}

rc::Gen<std::string> one_of(pieces all) {
  return rc::gen::elementOf(std::move(all));
}

// Mostly one of `good`, so that most streams are read to their end.
rc::Gen<std::string> mostly(pieces good, pieces bad) {
  return rc::gen::weightedOneOf<std::string>(
      {{15, one_of(std::move(good))}, {1, one_of(std::move(bad))}});
}

rc::Gen<std::string> joined(rc::Gen<std::string> part) {
  return rc::gen::map(rc::gen::container<pieces>(std::move(part)), [](const pieces& all) {
    return std::accumulate(all.begin(), all.end(), std::string());
  });
}

std::string hexadecimal(std::size_t n) {
  char text[17];
  std::snprintf(text, sizeof text, "%zx", n);
  return text;
}

rc::Gen<std::string> payload() {
  return rc::gen::resize(40, rc::gen::container<std::string>(rc::gen::weightedOneOf<char>(
                                 {{3, rc::gen::inRange('a', 'z')},
                                  {1, rc::gen::element('\r', '\n', '\0', '0', ' ')}})));
}

rc::Gen<std::string> headers() {
  return rc::gen::resize(
      3, joined(mostly(
             {"X: y\r\n", "Accept: */*\r\n", "Connection: keep-alive\r\n", "X:\r\n",
              "Upgrade: h2c\r\n", "Cookie: a=b; c=d\r\n", "Connection: upgrade\r\n",
              "Connection: x,, y\r\n", "X-Long: aaaaaaaaaaaaaaaaaaaa\r\n"},
             {"Connection: close\r\n", "Expect: 100-continue\r\n", "Host: b\r\n",
              "Transfer-Encoding: gzip\r\n"})));
}

rc::Gen<std::string> chunks() {
  auto chunk = rc::gen::apply(
      [](const std::string& bytes, const std::string& extension) {
        return hexadecimal(bytes.size() + 1) + extension + "\r\nx" + bytes + "\r\n";
      },
      payload(),
      one_of({"", ";", ";a", " ;a", ";a=b", "\t; a = \"q r\"",
              ";long=" + std::string(90, 'a')}));
  return rc::gen::apply(
      [](const std::string& all, const std::string& last, const std::string& trailer) {
        return all + last + "\r\n" + trailer + "\r\n";
      },
      rc::gen::resize(4, joined(chunk)), one_of({"0", "000", "0;x=y"}),
      one_of({"", "T: u\r\n", "Host: b\r\n", "Content-Length: 3\r\nT: u\r\n"}));
}

rc::Gen<std::string> one_request() {
  auto line = rc::gen::apply(
      [](const std::string& method, const std::string& target, const std::string& end) {
        return method + " " + target + end + "\r\n";
      },
      mostly({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"}, {"FROB", "get"}),
      mostly({"/", "/kv/key", "/work?us=5&x", "http://a:80/x?y", "/%00"}, {"*", "/a#b"}),
      mostly({" HTTP/1.1"}, {" HTTP/1.0", " HTTP/1.2", " HTTP/2.0", " RTSP/1.0", ""}));
  auto body = rc::gen::oneOf(
      rc::gen::just(std::string("\r\n")),
      rc::gen::map(payload(),
                   [](const std::string& bytes) {
                     return "Content-Length: " + std::to_string(bytes.size()) +
                            "\r\n\r\n" + bytes;
                   }),
      rc::gen::map(chunks(), [](const std::string& all) {
        return "Transfer-Encoding: chunked\r\n\r\n" + all;
      }));
  return rc::gen::apply(
      [](const std::string& blank, const std::string& first, const std::string& host,
         const std::string& rest,
         const std::string& framed) { return blank + first + host + rest + framed; },
      mostly({""}, {"\r\n"}), line,
      mostly({"Host: a\r\n", "Host: [::1]:80\r\n"}, {"", "Host: a b\r\n"}), headers(),
      body);
}

struct damage {
  std::size_t at, removed;
  std::string added;
};

rc::Gen<damage> one_damage() {
  return rc::gen::construct<damage>(
      below(400), below(3),
      rc::gen::oneOf(
          one_of({"", " ", "\n", "\r", "\r\n", "\t", ":", ";", "0", "f", "\r\n\r\n"}),
          rc::gen::map(rc::gen::arbitrary<char>(),
                       [](char c) { return std::string(1, c); }),
          one_request()));
}

}  // namespace
}  // namespace duel::http

template <>
struct rc::Arbitrary<duel::http::stream> {
  static Gen<duel::http::stream> arbitrary() {
    using namespace duel::http;
    auto damages = gen::weightedOneOf<std::vector<damage>>(
        {{1, gen::just(std::vector<damage>())},
         {2, gen::resize(3, gen::container<std::vector<damage>>(one_damage()))}});
    return gen::apply(
        [](std::string bytes, const std::vector<damage>& all) {
          for (const damage& d : all) {
            if (d.at <= bytes.size()) bytes.replace(d.at, d.removed, d.added);
          }
          return stream{std::move(bytes)};
        },
        gen::resize(5, joined(one_request())), damages);
  }
};

template <>
struct rc::Arbitrary<duel::http::limits> {
  static Gen<duel::http::limits> arbitrary() {
    using namespace duel::http;
    return gen::oneOf(
        gen::just(limits()),
        gen::construct<limits>(gen::map(below(150), [](auto n) { return 20 + n; }),
                               below(100)));
  }
};

namespace duel::http {

std::ostream& operator<<(std::ostream& out, const limits& most) {
  return out << "head " << most.head_bytes << ", body " << most.body_bytes;
}

namespace {

RC_GTEST_PROP(parser, is_deaf_to_how_the_bytes_are_split,
              (const stream& s, const limits& most, std::vector<std::uint8_t> sizes)) {
  sizes.push_back(0);
  auto whole = read_in_pieces(s.bytes, most, [&] { return s.bytes.size(); });
  auto next = sizes.begin();
  auto split = read_in_pieces(s.bytes, most, [&] {
    if (next == sizes.end()) next = sizes.begin();
    return std::size_t{1} + *next++ % 32;
  });
  RC_ASSERT(split.said == whole.said);
  RC_ASSERT(split.why == whole.why);
  auto bytewise = read_in_pieces(s.bytes, most, [] { return std::size_t{1}; });
  RC_ASSERT(bytewise.said == whole.said);
  RC_ASSERT(bytewise.why == whole.why);
}

}  // namespace
}  // namespace duel::http
