// Tests the parser alone: bytes in, requests or a refusal out, whatever the split.
#include "servers/http/parser.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "servers/http/test_reading.hpp"

namespace duel::http {
namespace {

std::string read(std::string_view bytes, std::size_t piece, limits most = {}) {
  return read_in_pieces(bytes, most, [=] { return piece; }).said;
}

// The same for every length of piece, down to single bytes.
std::string read_all_ways(std::string_view bytes, limits most = {}) {
  std::string whole = read(bytes, bytes.size(), most);
  for (std::size_t piece = 1; piece < std::min<std::size_t>(bytes.size(), 200); ++piece) {
    EXPECT_EQ(read(bytes, piece, most), whole)
        << "in pieces of " << piece << ": " << bytes;
  }
  return whole;
}

std::string head(std::string_view headers, std::string_view line = "GET / HTTP/1.1") {
  return std::string(line) + "\r\n" + std::string(headers) + "\r\n";
}
const std::string host = "Host: a\r\n";

TEST(parser, reads_a_request) {
  EXPECT_EQ(read_all_ways(head(host)), "0 /? keep []\nidle");
  EXPECT_EQ(read_all_ways(head(host, "HEAD /work?us=5&x HTTP/1.1")),
            "1 /work?us=5&x keep []\nidle");
  EXPECT_EQ(read_all_ways(head(host, "DELETE /x HTTP/1.1")), "4 /x? keep []\nidle");
  EXPECT_EQ(
      read_all_ways(head(host + "Content-Length: 3\r\n", "PUT /x HTTP/1.1") + "abc"),
      "3 /x? keep [abc]\nidle");
}

TEST(parser, is_split_at_every_pair_of_places) {
  std::string bytes = head(host + "Content-Length: 3\r\n", "POST /echo HTTP/1.1") +
                      "abc" + head("hOST:b\r\nConnection: close\r\n");
  std::string whole = read(bytes, bytes.size());
  for (std::size_t first = 0; first <= bytes.size(); ++first) {
    for (std::size_t second = first; second <= bytes.size(); ++second) {
      parser p({});
      std::vector<std::string> bodies;
      for (auto part : {std::string_view(bytes).substr(0, first),
                        std::string_view(bytes).substr(first, second - first),
                        std::string_view(bytes).substr(second)}) {
        auto input = std::as_bytes(std::span(part));
        while (p.feed(input) == parsed::complete) {
          bodies.push_back(p.message().body + (p.message().keep_alive ? "+" : "-"));
          p.next();
        }
      }
      ASSERT_EQ(bodies, (std::vector<std::string>{"abc+", "-"}))
          << first << ", " << second;
    }
  }
}

TEST(parser, answers_pipelined_requests_in_order) {
  std::string bytes;
  for (int i = 0; i < 5; ++i)
    bytes += head(host, "GET /" + std::to_string(i) + " HTTP/1.1");
  EXPECT_EQ(
      read_all_ways(bytes),
      "0 /0? keep []\n0 /1? keep []\n0 /2? keep []\n0 /3? keep []\n0 /4? keep []\nidle");
}

TEST(parser, reads_bodies) {
  std::string sized =
      head(host + "Content-Length: 5\r\n", "POST /echo HTTP/1.1") + "hello";
  std::string chunked =
      head(host + "Transfer-Encoding: chunked\r\n", "POST /echo HTTP/1.1") +
      "3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\n\r\n";
  std::string trailers =
      head(host + "Transfer-Encoding: Chunked\r\n", "POST /t HTTP/1.1") +
      "1\r\nx\r\n0\r\nHost: evil\r\nX: y\r\n\r\n";
  EXPECT_EQ(
      read_all_ways(sized + chunked + trailers + head(host)),
      "2 /echo? keep [hello]\n2 /echo? keep [hello]\n2 /t? keep [x]\n0 /? keep []\nidle");
  EXPECT_EQ(read_all_ways(sized.substr(0, sized.size() - 1)), "partial");
}

TEST(parser, knows_who_keeps_the_connection) {
  EXPECT_EQ(read_all_ways(head(host + "Connection: close\r\n")), "0 /? close []\nidle");
  EXPECT_EQ(read_all_ways(head("", "GET / HTTP/1.0")), "0 /? close []\nidle");
  EXPECT_EQ(read_all_ways(head("Connection: Keep-Alive\r\n", "GET / HTTP/1.0")),
            "0 /? keep []\nidle");
  for (const char* version : {"1.0", "1.1"}) {
    for (const char* options :
         {"close\t", "x, close", "keep-alive, close", "close\r\nConnection: keep-alive",
          "keep-alive\r\nConnection: ,Close"}) {
      EXPECT_EQ(read_all_ways(head(host + "Connection: " + options + "\r\n",
                                   "GET / HTTP/" + std::string(version))),
                "0 /? close []\nidle")
          << version << options;
    }
  }
  EXPECT_EQ(read(head(host + "Connection: " + std::string(1000, ',') + "\r\n"), 1000),
            "0 /? close []\nidle");
}

TEST(parser, takes_other_forms_of_target) {
  EXPECT_EQ(read_all_ways(head(host, "GET http://a:80/x?y=1 HTTP/1.1")),
            "0 /x?y=1 keep []\nidle");
  EXPECT_EQ(read_all_ways(head(host, "GET http://a HTTP/1.1")), "0 /? keep []\nidle");
  EXPECT_EQ(read_all_ways(head(host, "GET http://a?q HTTP/1.1")), "0 /?q keep []\nidle");
  EXPECT_EQ(read_all_ways(head(host, "OPTIONS * HTTP/1.1")), "5 *? keep []\nidle");
  EXPECT_EQ(read_all_ways(head(host, "OPTIONS http://a HTTP/1.1")), "5 *? keep []\nidle");
  for (const char* bad : {"/a#b", "*", "a", "a:80", "http://", "http:///", "http://:80/",
                          "http://u@a/", "http://a:x/", "http:/a"}) {
    EXPECT_EQ(read_all_ways(head(host, "GET " + std::string(bad) + " HTTP/1.1")), "400")
        << bad;
  }
  EXPECT_EQ(read_all_ways(head(host, "GET https://a/ HTTP/1.1")), "421");
}

TEST(parser, ignores_empty_lines_before_a_request) {
  EXPECT_EQ(read_all_ways("\r\n\r\n" + head(host)), "0 /? keep []\nidle");
  EXPECT_EQ(read_all_ways("\r\n"), "idle");
  EXPECT_EQ(read_all_ways("\n" + head(host)), "400");
  EXPECT_EQ(read_all_ways("\r" + head(host)), "400");
  EXPECT_EQ(read_all_ways("\r\n\r" + head(host)), "400");
  EXPECT_EQ(read_all_ways(" " + head(host)), "400");
}

TEST(parser, ignores_upgrades) {
  EXPECT_EQ(read_all_ways(head(host + "Connection: upgrade\r\nUpgrade: websocket\r\n") +
                          head(host)),
            "0 /? keep []\n0 /? keep []\nidle");
  EXPECT_EQ(read_all_ways(head(host + "Connection: upgrade\r\nUpgrade: h2c\r\n"
                                      "Content-Length: 2\r\n",
                               "POST /echo HTTP/1.1") +
                          "ab"),
            "2 /echo? keep [ab]\nidle");
}

TEST(parser, refuses_missing_and_repeated_host) {
  EXPECT_EQ(read_all_ways(head("")), "400");
  EXPECT_EQ(read_all_ways(head("Hos: a\r\nHostt: a\r\n")), "400");
  EXPECT_EQ(read_all_ways(head(host + host)), "400");
  EXPECT_EQ(read_all_ways(head(host + "hOsT: b\r\n")), "400");
  EXPECT_EQ(read_all_ways(head(host + host, "GET / HTTP/1.0")), "400");
  EXPECT_EQ(read_all_ways(head("Host:\r\n")), "0 /? keep []\nidle");
}

TEST(parser, refuses_what_is_no_host) {
  for (const char* good :
       {"a.example:80", "a:", "[::1]:80", "1.2.3.4", "%41~!$&'()*,;="}) {
    EXPECT_EQ(read_all_ways(head("Host: " + std::string(good) + "\r\n")),
              "0 /? keep []\nidle")
        << good;
  }
  for (const char* bad : {"a b", "a/b", "u@a", "a:b", ":80", "[::1", "[]", "[g]",
                          "[::1]a", "%", "%4", "%4g", "\xe4", "::1", "a?b"}) {
    EXPECT_EQ(read_all_ways(head("Host: " + std::string(bad) + "\r\n")), "400") << bad;
  }
  EXPECT_EQ(read(head("Host: " + std::string(264, 'a') + "\r\n"), 100),
            "0 /? keep []\nidle");
  EXPECT_EQ(read(head("Host: " + std::string(265, 'a') + "\r\n"), 100), "400");
  // What is not kept could be anything.
  EXPECT_EQ(read(head("Host: a" + std::string(265, ' ') + "b\r\n"), 100), "400");
}

TEST(parser, judges_the_host_of_every_request) {
  const std::string a = head("Host: a\r\n"), b = head("Host: b:80\r\n");
  const std::string said = "0 /? keep []\n";
  EXPECT_EQ(read_all_ways(a + a + b + a), said + said + said + said + "idle");
  EXPECT_EQ(read_all_ways(a + head("Host: a b\r\n")), said + "400");
  EXPECT_EQ(read_all_ways(a + head("")), said + "400");
}

TEST(parser, ignores_chunk_extensions) {
  std::string chunked = head(host + "Transfer-Encoding: chunked\r\n", "POST / HTTP/1.1");
  for (const char* good :
       {";a", ";a=b", ";a=\"b c;,\\\" d\"", " ;a", "\t; a = b;c", ";", ";=", ";\xe4"}) {
    EXPECT_EQ(read_all_ways(chunked + "1" + good + "\r\nx\r\n0" + good + "\r\n\r\n"),
              "2 /? keep [x]\nidle")
        << good;
  }
  for (const char* bad : {" ", "\t", " a;b", ";a\rb", ";a\nb", ";\x01", ";\x7f"}) {
    EXPECT_EQ(read_all_ways(chunked + "1" + bad + "\r\nx\r\n0\r\n\r\n"), "400") << bad;
  }
  // Where there is no size it is none.
  EXPECT_EQ(read_all_ways(chunked + ";a\r\nx\r\n"), "400");
  EXPECT_EQ(read_all_ways(chunked + "1\r\nx;a\r\n0\r\n\r\n"), "400");
  EXPECT_EQ(read_all_ways(chunked + "1\r\nx\r;a\n0\r\n\r\n"), "400");
  EXPECT_EQ(read_all_ways(chunked + "1\r;a\nx\r\n0\r\n\r\n"), "400");
}

TEST(parser, obeys_no_trailer) {
  std::string chunked = head(host + "Transfer-Encoding: chunked\r\n", "POST / HTTP/1.1");
  EXPECT_EQ(
      read_all_ways(chunked + "0\r\nConnection: close\r\nHost: b\r\n\r\n" + head(host)),
      "2 /? keep []\n0 /? keep []\nidle");
}

TEST(parser, refuses_folded_headers) {
  EXPECT_EQ(read_all_ways(head(host + "X: a\r\n b\r\n")), "400");
  EXPECT_EQ(read_all_ways(head(host + "X: a\r\n\tb\r\n")), "400");
  EXPECT_EQ(read_all_ways(head(" X: a\r\n" + host)), "400");
}

TEST(parser, refuses_bare_line_feeds) {
  EXPECT_EQ(read_all_ways("GET / HTTP/1.1\nHost: a\r\n\r\n"), "400");
  EXPECT_EQ(read_all_ways("GET / HTTP/1.1\r\nHost: a\n\r\n"), "400");
  EXPECT_EQ(read_all_ways("GET / HTTP/1.1\r\nHost: a\r\n\n"), "400");
  std::string chunked = head(host + "Transfer-Encoding: chunked\r\n", "POST / HTTP/1.1");
  EXPECT_EQ(read_all_ways(chunked + "1\nx\r\n0\r\n\r\n"), "400");
  EXPECT_EQ(read_all_ways(chunked + "1;e\nx\r\n0\r\n\r\n"), "400");
  EXPECT_EQ(read_all_ways(chunked + "1\r\nx\n0\r\n\r\n"), "400");
  EXPECT_EQ(read_all_ways(chunked + "1\r\nx\r\n0\n\r\n"), "400");
  EXPECT_EQ(read_all_ways(chunked + "1\r\nx\r\n0\r\n\n"), "400");
  EXPECT_EQ(read_all_ways(chunked + "1\r\nx\r\n0\r\nA: b\n\r\n"), "400");
  EXPECT_EQ(read_all_ways(chunked + "1\r\nx\r\n0\r\nA: b\r\n c\r\n\r\n"), "400");
}

TEST(parser, refuses_malformed_headers) {
  for (const char* bad : {"X : a\r\n", "X\r\n", ": a\r\n", "X Y: a\r\n", "X: a\rb\r\n",
                          "X(: a\r\n", "X: a\x01\r\n", "X: a\x7f\r\n"}) {
    EXPECT_EQ(read_all_ways(head(host + bad)), "400") << bad;
  }
  EXPECT_EQ(read_all_ways(head(host + std::string("X: a\0b\r\n", 9))), "400");
}

TEST(parser, refuses_ambiguous_framing) {
  for (const char* bad : {"Content-Length: 1\r\nContent-Length: 1\r\n",
                          "Content-Length: 1\r\nContent-Length: 2\r\n",
                          "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
                          "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
                          "Content-Length: +1\r\n",
                          "Content-Length: -1\r\n",
                          "Content-Length: 1 1\r\n",
                          "Content-Length: 0x1\r\n",
                          "Content-Length: 1, 1\r\n",
                          "Content-Length: 99999999999999999999999\r\n",
                          "Content-Length:\r\n",
                          "Transfer-Encoding: chunked, chunked\r\n",
                          "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                          "Transfer-Encoding: gzip\r\n",
                          "Transfer-Encoding: identity\r\n",
                          "Transfer-Encoding: xchunked\r\n",
                          "Transfer-Encoding: chunked, gzip\r\n",
                          "Transfer-Encoding: chunked,\r\n",
                          "Transfer-Encoding:\r\n",
                          "Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n",
                          "Content-Length: 1\r\nTransfer-Encoding:\r\n"}) {
    EXPECT_EQ(read_all_ways(head(host + bad, "POST /echo HTTP/1.1") + "x"), "400") << bad;
  }
  EXPECT_EQ(read_all_ways(head("Transfer-Encoding: chunked\r\n", "POST / HTTP/1.0") +
                          "0\r\n\r\n"),
            "400");
  std::string chunked = head(host + "Transfer-Encoding: chunked\r\n", "POST / HTTP/1.1");
  EXPECT_EQ(read_all_ways(chunked + "zz\r\n"), "400");
  EXPECT_EQ(read_all_ways(chunked + "ffffffffffffffffff\r\n"), "400");
  EXPECT_EQ(read_all_ways(chunked + "1\r\nxy\r\n"), "400");
}

TEST(parser, refuses_what_it_does_not_implement) {
  for (const char* coding : {"gzip, chunked", "gzip\r\nTransfer-Encoding: chunked"}) {
    EXPECT_EQ(read_all_ways(head(host + "Transfer-Encoding: " + coding + "\r\n",
                                 "POST / HTTP/1.1")),
              "501")
        << coding;
  }
  EXPECT_EQ(read_all_ways(head(host, "FROB / HTTP/1.1")), "501");
  EXPECT_EQ(read_all_ways(head(host, "get / HTTP/1.1")), "501");
  EXPECT_EQ(read_all_ways(head(host, "GETX / HTTP/1.1")), "501");
  EXPECT_EQ(read_all_ways(head(host, "GE / HTTP/1.1")), "501");
  EXPECT_EQ(read_all_ways(head(host, "CONNECT a:80 HTTP/1.1")), "501");
  EXPECT_EQ(read_all_ways("\x16\x03\x01\x02junk"), "400");
  for (const char* known : {"TRACE", "PATCH", "LOCK", "DESCRIBE", "SOURCE"}) {
    EXPECT_EQ(read_all_ways(head(host, std::string(known) + " / HTTP/1.1")), "501");
  }
  EXPECT_EQ(read_all_ways(std::string(40, 'A') + " / HTTP/1.1\r\n"), "501");
  EXPECT_EQ(read_all_ways("FR\x01OB / HTTP/1.1\r\n"), "400");
  EXPECT_EQ(read_all_ways("FROB\r\n\r\n"), "400");
}

TEST(parser, refuses_other_versions) {
  for (const char* version : {"HTTP/2.0", "HTTP/3.0", "HTTP/0.9", "HTTP/9.9"}) {
    EXPECT_EQ(read_all_ways(head(host, "GET / " + std::string(version))), "505")
        << version;
  }
  EXPECT_EQ(read_all_ways(head(host, "GET / HTTP/1.2")), "0 /? keep []\nidle");
  EXPECT_EQ(read_all_ways(head("", "GET / HTTP/1.2")), "400");
  for (const char* line : {"GET / RTSP/1.0", "SOURCE / ICE/1.0", "GET /", "GET / "}) {
    EXPECT_EQ(read_all_ways(head(host, line)), "400") << line;
  }
  EXPECT_EQ(read_all_ways("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "505");
  for (const char* version :
       {"HTTP/1", "HTTP/1.x", "HTTP/11.1", "HTTP 1.1", "HTP/1.1", "http/1.1"}) {
    EXPECT_EQ(read_all_ways(head(host, "GET / " + std::string(version))), "400")
        << version;
  }
}

TEST(parser, limits_the_target) {
  std::string longest(max_target - 1, 'a');
  EXPECT_EQ(read(head(host, "GET /" + longest + " HTTP/1.1"), 1000),
            "0 /" + longest + "? keep []\nidle");
  for (std::size_t piece : {1, 7, 1000, 100'000}) {
    EXPECT_EQ(read(head(host, "GET /" + longest + "b HTTP/1.1"), piece), "414");
    EXPECT_EQ(read("GET /" + std::string(100'000, 'a'), piece), "414");
  }
}

TEST(parser, limits_the_head) {
  std::string fits = head(host);
  EXPECT_EQ(read_all_ways(fits, {.head_bytes = fits.size()}), "0 /? keep []\nidle");
  EXPECT_EQ(read_all_ways(fits + fits, {.head_bytes = fits.size()}),
            "0 /? keep []\n0 /? keep []\nidle");
  EXPECT_EQ(read_all_ways(fits, {.head_bytes = fits.size() - 1}), "431");
  EXPECT_EQ(read_all_ways(fits, {.head_bytes = 10}), "414");
  for (std::size_t piece : {1, 1000, 100'000}) {
    EXPECT_EQ(read(head(host + "X: " + std::string(20'000, 'a') + "\r\n"), piece), "431");
    std::string trailer =
        head(host + "Transfer-Encoding: chunked\r\n", "POST / HTTP/1.1") +
        "0\r\nX: " + std::string(20'000, 'a') + "\r\n\r\n";
    EXPECT_EQ(read(trailer, piece), "431");
  }
}

TEST(parser, limits_the_body) {
  limits small{.body_bytes = 4};
  std::string sized = head(host + "Content-Length: 4\r\n", "POST / HTTP/1.1") + "abcd";
  EXPECT_EQ(read_all_ways(sized, small), "2 /? keep [abcd]\nidle");
  EXPECT_EQ(read_all_ways(head(host + "Content-Length: 5\r\n", "POST / HTTP/1.1"), small),
            "413");
  std::string chunked = head(host + "Transfer-Encoding: chunked\r\n", "POST / HTTP/1.1");
  EXPECT_EQ(read_all_ways(chunked + "3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", small),
            "2 /? keep [abcd]\nidle");
  EXPECT_EQ(read_all_ways(chunked + "3\r\nabc\r\n2\r\n", small), "413");
  for (std::size_t piece : {1, 1000, 200'000}) {
    std::string extended = "1;" + std::string(20'000, 'a') + "\r\nx\r\n";
    EXPECT_EQ(read(chunked + extended, piece), "431");
    EXPECT_EQ(read(chunked + "1\r\nx\r\n" + extended, piece), "431");
  }
}

TEST(parser, says_when_the_client_waits_for_continue) {
  parser p({});
  std::string bytes =
      head(host + "Expect: 100-continue\r\nContent-Length: 2\r\n", "POST /echo HTTP/1.1");
  auto input = std::as_bytes(std::span(std::string_view(bytes)));
  ASSERT_EQ(p.feed(input), parsed::more);
  EXPECT_TRUE(p.is_in_body());
  EXPECT_TRUE(p.take_continue());
  EXPECT_FALSE(p.take_continue());
  input = std::as_bytes(std::span(std::string_view("ab")));
  ASSERT_EQ(p.feed(input), parsed::complete);
  EXPECT_EQ(p.message().body, "ab");

  parser impatient({});
  bytes += "a";
  input = std::as_bytes(std::span(std::string_view(bytes)));
  ASSERT_EQ(impatient.feed(input), parsed::more);
  EXPECT_FALSE(impatient.take_continue());
  EXPECT_EQ(read_all_ways(head(host + "Expect: a miracle\r\n")), "417");
}

TEST(parser, keeps_little_memory_between_requests) {
  parser p({});
  std::string bytes = head(host + "Content-Length: 100000\r\n",
                           "POST /" + std::string(5000, 'a') + " HTTP/1.1") +
                      std::string(100'000, 'b');
  auto input = std::as_bytes(std::span(std::string_view(bytes)));
  ASSERT_EQ(p.feed(input), parsed::complete);
  p.next();
  EXPECT_LE(p.message().target.capacity() + p.message().body.capacity(), 512u);
}

}  // namespace
}  // namespace duel::http
