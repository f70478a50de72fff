// Tests addresses: text to address and back, and that nothing else passes for one.
#include "runtimes/api/net/endpoint.hpp"

#include <gtest/gtest.h>

namespace duel::net {
namespace {

TEST(endpoint, is_its_text_and_back) {
  for (const char* text : {"127.0.0.1:0", "0.0.0.0:65535", "[::1]:8080", "[fe80::1]:1"}) {
    auto e = endpoint::parse(text);
    ASSERT_TRUE(e) << text;
    EXPECT_EQ(e->text(), text);
  }
  EXPECT_EQ(endpoint::parse("1.2.3.4:5")->family(), AF_INET);
  EXPECT_EQ(endpoint::parse("[::]:5")->family(), AF_INET6);
}

TEST(endpoint, is_nothing_else) {
  for (const char* text :
       {"", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
        "127.0.0.1:80x", "127.0.0:80", "localhost:80", "::1:80", "[::1]", "[]:80",
        "[::1:80", "[127.0.0.1]:80", "[::1%lo]:80", "[xyz]:80"}) {
    auto e = endpoint::parse(text);
    ASSERT_FALSE(e) << text;
    EXPECT_EQ(e.error(), std::errc::invalid_argument) << text;
  }
}

}  // namespace
}  // namespace duel::net
