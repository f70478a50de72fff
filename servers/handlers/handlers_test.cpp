// Tests every route through a real connection under each model: the same bytes from all.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "servers/handlers/query.hpp"
#include "servers/handlers/routes.hpp"
#include "servers/http/test_conversation.hpp"

namespace duel::handlers {
namespace {

TEST(query, finds_numbers) {
  EXPECT_EQ(query_number("us=5", "us", 10), 5u);
  EXPECT_EQ(query_number("a=1&us=10&us=3", "us", 10), 10u);
  EXPECT_EQ(query_number("us=0", "us", 10), 0u);
}

TEST(query, names_what_is_wrong) {
  for (auto bad : {"us=", "us", "us=11", "us=-1", "us=+1", "us=1x", "us= 1", "us=0x1",
                   "us=99999999999999999999"}) {
    auto number = query_number(bad, "us", 10);
    ASSERT_FALSE(number) << bad;
    EXPECT_EQ(number.error(), "us must be a whole number from 0 to 10\n");
  }
  for (auto missing : {"", "xus=1", "usx=1", "&&", "=us"}) {
    auto number = query_number(missing, "us", 10);
    ASSERT_FALSE(number) << missing;
    EXPECT_EQ(number.error(), "the query needs us=0..10\n");
  }
}

class routes_test : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    how_.routes = all_routes();
    if (auto made = make_model({.model = GetParam(), .workers = 2}); !made) {
      GTEST_SKIP() << made.error();
    }
  }
  // The answer's status line and body.
  std::string ask(const std::string& request_line, const std::string& body = "") {
    http::conversation c(GetParam(), how_);
    c.say(request_line + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: " +
          std::to_string(body.size()) + "\r\n\r\n" + body);
    std::string heard = c.hear_all();
    return heard.substr(0, heard.find('\r')) + "|" +
           heard.substr(heard.find("\r\n\r\n") + 4);
  }
  http::options how_;
};

TEST_P(routes_test, answer) {
  EXPECT_EQ(ask("GET /"), "HTTP/1.1 200 OK|Hello, World!");
  EXPECT_EQ(ask("HEAD /"), "HTTP/1.1 200 OK|");
  EXPECT_EQ(ask("POST /echo", std::string(50'000, 'e')),
            "HTTP/1.1 200 OK|" + std::string(50'000, 'e'));
  EXPECT_EQ(ask("GET /work?us=100"), "HTTP/1.1 200 OK|worked 100 us\n");
  EXPECT_EQ(ask("GET /sleep?ms=5"), "HTTP/1.1 200 OK|slept 5 ms\n");
  EXPECT_EQ(ask("GET /block?ms=5"), "HTTP/1.1 200 OK|blocked 5 ms\n");
  EXPECT_EQ(ask("GET /bytes?n=0"), "HTTP/1.1 200 OK|");
  EXPECT_EQ(ask("GET /bytes?n=70"),
            "HTTP/1.1 200 OK|ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklm"
            "nopqrstuvwxyz0123456789-_ABCDEF");
  EXPECT_EQ(ask("GET /bytes?n=1000001").size(),
            std::string("HTTP/1.1 200 OK|").size() + 1'000'001);
  EXPECT_EQ(ask("GET /sleep?ms=60001"),
            "HTTP/1.1 400 Bad Request|ms must be a whole number from 0 to 60000\n");
  EXPECT_EQ(ask("GET /bytes"),
            "HTTP/1.1 400 Bad Request|the query needs n=0..1073741824\n");
  EXPECT_EQ(ask("GET /work?us=10000001"),
            "HTTP/1.1 400 Bad Request|us must be a whole number from 0 to 10000000\n");
}

TEST_P(routes_test, tell_statistics) {
  std::string heard = ask("GET /stats");
  auto stats = nlohmann::json::parse(heard.substr(heard.find('|') + 1));
  EXPECT_EQ(stats.at("model"), GetParam());
  EXPECT_FALSE(stats.at("driver").get<std::string>().empty());
  EXPECT_EQ(stats.at("requests"), 0);
  ASSERT_FALSE(stats.at("workers").empty());
  for (auto name : counter_names) EXPECT_TRUE(stats["workers"][0].contains(name)) << name;
}

INSTANTIATE_TEST_SUITE_P(models, routes_test,
                         testing::Values("serial", "threads", "stealing", "sharded"),
                         [](const auto& with) { return std::string(with.param); });

}  // namespace
}  // namespace duel::handlers
