// Tests how a response's head is written, and the router's table lookup.
#include "servers/http/response.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <regex>

#include "servers/http/router.hpp"

namespace duel::http {
namespace {

std::string written(const response_head& head) {
  char text[max_head];
  return {text, write_head(text, head, coarse_now())};
}

TEST(response, has_a_complete_head) {
  std::regex expected(
      "HTTP/1.1 200 OK\r\nDate: (Mon|Tue|Wed|Thu|Fri|Sat|Sun), \\d\\d [A-Z][a-z][a-z] "
      "\\d{4} "
      "\\d\\d:\\d\\d:\\d\\d GMT\r\nContent-Type: text/plain\r\nContent-Length: "
      "13\r\n\r\n");
  std::string head = written({.content_type = text_plain, .content_length = 13});
  EXPECT_TRUE(std::regex_match(head, expected)) << head;
}

TEST(response, says_what_becomes_of_the_connection) {
  auto connection = [](persistence after) {
    std::string head = written({.after = after, .content_type = text_plain});
    auto at = head.find("Connection: ");
    return at == std::string::npos ? "" : head.substr(at);
  };
  EXPECT_EQ(connection(persistence::implied), "");
  EXPECT_EQ(connection(persistence::stated), "Connection: keep-alive\r\n\r\n");
  EXPECT_EQ(connection(persistence::close), "Connection: close\r\n\r\n");
}

TEST(response, fits_in_the_room_reserved_for_it) {
  std::string longest(64, 'x');
  for (int status :
       {200, 201, 400, 404, 405, 408, 413, 414, 417, 421, 431, 500, 501, 503, 505, 507}) {
    std::string head =
        written({.status = status,
                 .after = persistence::stated,
                 .content_type = longest,
                 .content_length = std::numeric_limits<std::uint64_t>::max(),
                 .allow = longest});
    EXPECT_LE(head.size(), max_head);
    auto line =
        "HTTP/1.1 " + std::to_string(status) + " " + std::string(reason(status)) + "\r\n";
    EXPECT_TRUE(head.starts_with(line)) << head;
    EXPECT_NE(head.find("\r\nAllow: " + longest + "\r\n"), std::string::npos);
  }
}

TEST(router, finds_exact_paths) {
  constexpr route table[] = {{"/", methods::get_and_head, false, nullptr},
                             {"/echo", methods::post, false, nullptr},
                             {"/kv/", methods::all_of_a_value, false, nullptr}};
  EXPECT_EQ(find_route(table, "/"), &table[0]);
  EXPECT_EQ(find_route(table, "/echo"), &table[1]);
  for (auto path : {"", "//", "/Echo", "/echo/", "/ech", "echo", "/kv"}) {
    EXPECT_EQ(find_route(table, path), nullptr) << path;
  }
}

TEST(router, finds_what_begins_with_a_path_that_ends_in_a_slash) {
  constexpr route table[] = {{"/", methods::get_and_head, false, nullptr},
                             {"/kv/", methods::all_of_a_value, false, nullptr}};
  for (auto path : {"/kv/", "/kv/a", "/kv/a/b", "/kv//"}) {
    EXPECT_EQ(find_route(table, path), &table[1]) << path;
  }
  for (auto path : {"/kv", "/kva", "/a/kv/"}) {
    EXPECT_EQ(find_route(table, path), nullptr) << path;
  }
}

TEST(router, allows_what_a_route_names) {
  auto allowed = [](methods m) {
    route r{"/", m, false, nullptr};
    std::string names;
    for (auto each : {method::get, method::head, method::post, method::put,
                      method::removal, method::options}) {
      names += is_allowed(r, each) ? '1' : '0';
    }
    return names;
  };
  EXPECT_EQ(allowed(methods::get_and_head), "110000");
  EXPECT_EQ(allowed(methods::post), "001000");
  EXPECT_EQ(allowed(methods::all_of_a_value), "110110");
}

}  // namespace
}  // namespace duel::http
