// test_uring_stream.hpp - for tests: one shard on io_uring, and connections with one end
// in it.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtimes/api/net/listener.hpp"
#include "runtimes/sharded/test_model.hpp"

namespace duel::uring {

using net::stream;

struct pair {
  stream ours;
  int theirs;
};

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}
inline std::string_view text_of(const buffer_lease& lease) {
  return {reinterpret_cast<const char*>(lease.bytes().data()), lease.bytes().size()};
}

inline int listening_socket(int backlog = 4096) {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  auto any = net::endpoint::parse("127.0.0.1:0");
  EXPECT_EQ(::bind(fd, any->address(), any->size()), 0);
  EXPECT_EQ(::listen(fd, backlog), 0);
  return fd;
}
// Connects at once: the kernel accepts into the backlog.
inline int connect_to(const net::endpoint& where) {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(::connect(fd, where.address(), where.size()), 0);
  return fd;
}
inline pair connection() {
  int listening = listening_socket();
  int theirs = connect_to(net::endpoint::of_socket(listening));
  int ours = ::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  ::close(listening);
  return {*stream::adopt(ours), theirs};
}
inline void write_all(int fd, std::string_view text) {
  EXPECT_EQ(::write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

class uring_stream : public testing::TestWithParam<sharded::choices> {
 protected:
  void run(std::move_only_function<void()> main) {
    sharded::run_clean(*model, std::move(main));
  }
  std::unique_ptr<scheduler> model = sharded::make_test_model(1, "uring", GetParam());
};

}  // namespace duel::uring
