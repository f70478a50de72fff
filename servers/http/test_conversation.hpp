// test_conversation.hpp - for tests: a server connection under a real model, and its
// client.
//
// The scheduler runs on a thread of its own and serves one end of a socket pair; the test
// is the client at the other end, in blocking calls that give up after 20 s.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <thread>

#include "runtimes/models.hpp"
#include "servers/http/connection.hpp"

namespace duel::http {

class conversation {
 public:
  using service = connection_end (*)(net::stream peer, const options& how);
  conversation(const std::string& model, const options& how,
               service serve = &serve_connection) {
    auto made = make_model({.model = model, .workers = 2});
    if (!made) throw std::runtime_error(made.error());
    model_ = std::move(*made);
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
    client_ = ends[0];
    timeval patience{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(client_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(client_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    server_ = std::thread([this, fd = ends[1], &how, serve] {
      model_->run([this, fd, &how, serve] {
        if (auto peer = net::stream::adopt(fd)) end_ = serve(std::move(*peer), how);
      });
    });
  }
  ~conversation() { finish(); }

  void say(std::string_view bytes) {
    while (!bytes.empty()) {
      auto sent = ::send(client_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR)
        continue;  // a ring that was closed interrupts its maker
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  void say_no_more() { ::shutdown(client_, SHUT_WR); }

  // Everything until the server closes, Date lines removed; "reset" or "timeout" is
  // appended if it ends so.
  std::string hear_all() { return hear_until({}); }
  // Everything until `end` has come, byte by byte so that nothing is taken from what
  // follows.
  std::string hear(std::string_view end) { return hear_until(end); }

  void stop(stop_mode mode) { model_->stop(mode); }

  // Closes, and waits for the server to be done. How its connection ended.
  connection_end finish() {
    if (client_ >= 0) {
      ::close(std::exchange(client_, -1));
      server_.join();
      EXPECT_EQ(model_->live_tasks(), 0u);
      EXPECT_EQ(model_->stacks_in_use(), 0u);
    }
    return end_;
  }
  // Waits for the server to be done while the client stays connected.
  connection_end outlast() {
    server_.join();
    server_ = std::thread([] {});
    return end_;
  }
  [[nodiscard]] std::uint64_t counted(counter c) const {
    std::uint64_t sum = 0;
    for (const counters* w : model_->all_counters()) sum += w->get(c);
    return sum;
  }

 private:
  std::string hear_until(std::string_view end) {
    std::string heard;
    char part[16 * 1024];
    while (end.empty() || !heard.ends_with(end)) {
      auto got = ::recv(client_, part, end.empty() ? sizeof part : 1, 0);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) heard += errno == ECONNRESET ? "reset" : "timeout";
      if (got <= 0) break;
      heard.append(part, static_cast<std::size_t>(got));
    }
    constexpr std::size_t date_line = std::string_view("Date: ").size() + 29 + 2;
    for (std::size_t at = 0; (at = heard.find("Date: ", at)) != std::string::npos;) {
      heard.erase(at, date_line);
    }
    return heard;
  }

  std::unique_ptr<scheduler> model_;
  int client_ = -1;
  connection_end end_ = connection_end::closed;  // the server thread's until joined
  std::thread server_;
};

}  // namespace duel::http
