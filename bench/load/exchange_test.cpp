// Requests that differ are answered by bodies that differ, and are the same when drawn
// again.
#include "bench/load/exchange.hpp"

#include <gtest/gtest.h>

#include <set>

namespace duel::load {
namespace {

options asking(const char* path) {
  options o;
  o.host = "127.0.0.1:80", o.path = path;
  return o;
}

std::string text_of(const exchange& e, std::uint64_t c, std::uint64_t i) {
  std::string text;
  e.write(text, c, i);
  return text;
}

std::string body_for(const exchange& e, std::uint64_t c, std::uint64_t i) {
  std::string scratch;
  return std::string(e.expected(scratch, c, i));
}

TEST(exchange, one_request_for_all) {
  auto o = asking("/");
  o.headers = {"Accept: text/plain"};
  exchange e(o);
  EXPECT_TRUE(e.is_constant());
  EXPECT_TRUE(e.is_curious());
  EXPECT_EQ(text_of(e, 3, 4),
            "GET / HTTP/1.1\r\nHost: 127.0.0.1:80\r\nAccept: text/plain\r\n\r\n");
  e.learn("hi");
  EXPECT_FALSE(e.is_curious());
  EXPECT_EQ(body_for(e, 1, 2), "hi");
}

TEST(exchange, an_echo_answers_its_own_id) {
  auto o = asking("/echo");
  o.unique_ids = true;
  exchange e(o);
  EXPECT_FALSE(e.is_curious());
  auto body = body_for(e, 1, 2);
  EXPECT_EQ(body.size(), 16U);
  EXPECT_TRUE(text_of(e, 1, 2).ends_with("Content-Length: 16\r\n\r\n" + body));
  std::set<std::string> all;
  for (std::uint64_t c = 0; c < 100; ++c) {
    for (std::uint64_t i = 0; i < 100; ++i) all.insert(body_for(e, c, i));
  }
  EXPECT_EQ(all.size(), 10'000U);
}

TEST(exchange, a_length_of_its_own_is_a_prefix_of_what_was_learnt) {
  auto o = asking("/bytes");
  o.unique_ids = true;
  exchange e(o);
  EXPECT_NE(text_of(e, exchange::scout, 0).find("/bytes?n=4096 "), std::string::npos);
  std::string learnt;
  for (int i = 0; i < 4096; ++i) learnt += static_cast<char>('a' + i % 26);
  e.learn(learnt);
  auto body = body_for(e, 5, 6);
  EXPECT_TRUE(learnt.starts_with(body));
  auto wanted = "?n=" + std::to_string(body.size()) + " ";
  EXPECT_NE(text_of(e, 5, 6).find(wanted), std::string::npos);
}

TEST(exchange, an_answer_that_holds_the_id_becomes_a_pattern) {
  auto o = asking("/any");
  o.query = "a=b", o.unique_ids = true;
  exchange e(o);
  auto text = text_of(e, exchange::scout, 0);
  auto at = text.find("?a=b&id=");
  ASSERT_NE(at, std::string::npos);
  e.learn("you are " + text.substr(at + 8, 16) + "!");
  auto body = body_for(e, 1, 1);
  EXPECT_TRUE(body.starts_with("you are ") && body.ends_with("!"));
  EXPECT_NE(text_of(e, 1, 1).find(body.substr(8, 16)), std::string::npos);
  EXPECT_NE(body, body_for(e, 1, 2));
}

TEST(exchange, ids_are_checked_where_the_answer_holds_them) {
  auto checks = [](options o, const std::string& learnt) {
    exchange e(o);
    if (e.is_curious()) e.learn(learnt);
    return e.checks_ids();
  };
  auto o = asking("/");
  EXPECT_FALSE(checks(o, "hi"));
  o.unique_ids = true;
  EXPECT_FALSE(checks(o, "hi"));
  o.expect_body = "hi";
  EXPECT_FALSE(checks(o, ""));
  o.expect_body = "{id}";
  EXPECT_TRUE(checks(o, ""));
  o.any_body = true, o.expect_body.reset();
  EXPECT_FALSE(checks(o, ""));
  auto bytes = asking("/bytes");
  bytes.unique_ids = true;
  EXPECT_TRUE(checks(bytes, std::string(4096, 'x')));
  EXPECT_FALSE(checks(bytes, "whatever you ask"));
  auto echo = asking("/echo");
  echo.unique_ids = true;
  EXPECT_TRUE(checks(echo, ""));
  auto work = asking("/work");
  work.unique_ids = true, work.service = *service_times::parse("det:1us");
  EXPECT_FALSE(checks(work, ""));
}

TEST(exchange, work_is_answered_with_its_time) {
  auto o = asking("/work");
  o.service = *service_times::parse("exp:1ms");
  exchange e(o);
  auto us = o.service->us(o.seed(), 4, 9);
  EXPECT_NE(text_of(e, 4, 9).find("GET /work?us=" + std::to_string(us) + " "),
            std::string::npos);
  EXPECT_EQ(body_for(e, 4, 9), "worked " + std::to_string(us) + " us\n");
}

TEST(exchange, braces_that_stand_for_nothing_stay) {
  auto o = asking("/");
  o.expect_body = "{us} {id} {";
  EXPECT_EQ(body_for(exchange(o), 0, 0), "{us} {id} {");
  o.unique_ids = true;
  auto body = body_for(exchange(o), 0, 0);
  EXPECT_TRUE(body.starts_with("{us} ") && body.ends_with(" {"));
  EXPECT_EQ(body.size(), 5 + 16 + 2U);
}

}  // namespace
}  // namespace duel::load
