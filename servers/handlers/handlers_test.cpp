// Tests every route through a real connection under each model: the same bytes from all.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "servers/handlers/kv.hpp"
#include "servers/handlers/query.hpp"
#include "servers/handlers/routes.hpp"
#include "servers/handlers/service.hpp"
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

TEST(kv, decodes_keys) {
  EXPECT_EQ(key_of("/kv/a"), "a");
  EXPECT_EQ(key_of("/kv/a/b+c"), "a/b+c");
  EXPECT_EQ(key_of("/kv/%41%2f%C3%a9"), "A/\xC3\xA9");
  EXPECT_EQ(key_of("/kv/%00"), std::string(1, '\0'));
  std::string longest, longest_encoded;
  for (int i = 0; i < 256; ++i) longest += 'k', longest_encoded += "%6B";
  EXPECT_EQ(key_of("/kv/" + longest), longest);
  EXPECT_EQ(key_of("/kv/" + longest_encoded), longest);
}

TEST(kv, refuses_what_is_no_key) {
  for (auto bad : {"/kv/%", "/kv/%4", "/kv/a%4", "/kv/%4g", "/kv/%-1", "/kv/% 1"}) {
    auto key = key_of(bad);
    ASSERT_FALSE(key) << bad;
    EXPECT_EQ(key.error(), "a % in a key begins a byte of two hexadecimal digits\n");
  }
  for (const auto& size : {std::string(), std::string(257, 'k')}) {
    auto key = key_of("/kv/" + size);
    ASSERT_FALSE(key) << size;
    EXPECT_EQ(key.error(), "a key has 1 to 256 bytes: /kv/KEY\n");
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
  store kept_ = store::shared(100'000);
  service service_{kept_, "state=shared"};
};

TEST_P(routes_test, keep_values) {
  EXPECT_EQ(ask("GET /kv/a%2Fb"), "HTTP/1.1 404 Not Found|no such key\n");
  EXPECT_EQ(ask("PUT /kv/a%2Fb", "one"), "HTTP/1.1 201 Created|created\n");
  EXPECT_EQ(ask("GET /kv/a/b?ignored"), "HTTP/1.1 200 OK|one");
  EXPECT_EQ(ask("HEAD /kv/a/b"), "HTTP/1.1 200 OK|");
  EXPECT_EQ(ask("PUT /kv/a/b", std::string(50'000, 'x')), "HTTP/1.1 200 OK|replaced\n");
  EXPECT_EQ(ask("PUT /kv/c", std::string(60'000, 'y')),
            "HTTP/1.1 507 Insufficient Storage|the store is full (--max-kv-bytes); "
            "nothing has changed\n");
  EXPECT_EQ(ask("GET /kv/a/b"), "HTTP/1.1 200 OK|" + std::string(50'000, 'x'));
  EXPECT_EQ(ask("DELETE /kv/a/b"), "HTTP/1.1 200 OK|deleted\n");
  EXPECT_EQ(ask("DELETE /kv/a/b"), "HTTP/1.1 404 Not Found|no such key\n");
  EXPECT_EQ(ask("HEAD /kv/a/b"), "HTTP/1.1 404 Not Found|");
  EXPECT_EQ(ask("PUT /kv/"),
            "HTTP/1.1 400 Bad Request|a key has 1 to 256 bytes: /kv/KEY\n");
  EXPECT_EQ(ask("POST /kv/a"),
            "HTTP/1.1 405 Method Not Allowed|the method is not allowed here\n");
}

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
  EXPECT_TRUE(stats["workers"][0].contains("busy_ns"));
  EXPECT_EQ(stats.at("switches").at("state"), "shared");
  EXPECT_FALSE(stats["switches"].contains("model"));
}

TEST_P(routes_test, tell_metrics) {
  std::string heard = ask("GET /metrics");
  EXPECT_NE(heard.find("\nduel_requests_total{worker=\"0\"} 0\n"), heard.npos) << heard;
  EXPECT_NE(heard.find(std::string("duel_info{model=\"") + GetParam()), heard.npos);
}

TEST_P(routes_test, count_open_connections) {
  {
    service::open_scope one(service_), two(service_);
    EXPECT_EQ(service_.open(), 2u);
  }
  service::open_scope again(service_);
  EXPECT_EQ(service_.open(), 1u);
  EXPECT_EQ(service_.most_open(), 2u);
}

INSTANTIATE_TEST_SUITE_P(models, routes_test,
                         testing::Values("serial", "threads", "stealing", "sharded"),
                         [](const auto& with) { return std::string(with.param); });

}  // namespace
}  // namespace duel::handlers
