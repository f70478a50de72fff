// uring_buffers_test.cpp - receiving when tasks hold all buffers of the ring, on leases
// or unread. The ways: uring_driver_test.cpp.
#include <algorithm>
#include <numeric>

#include "runtimes/api/task.hpp"
#include "runtimes/api/time.hpp"
#include "runtimes/drivers/uring/buffer_pool.hpp"
#include "runtimes/drivers/uring/test_uring_stream.hpp"

namespace duel::uring {
namespace {

using namespace std::chrono_literals;

constexpr auto patience = 60s;  // beyond it a test fails instead of hanging

bool is_of_the_ring(const buffer_lease& lease) {
  return lease.id() < buffer_pool::most;
}

// Leases that are kept: all that the ring may ever have, and more than that in blocks.
TEST_P(uring_stream, receives_more_than_the_ring_has_buffers_for) {
  run([] {
    constexpr std::size_t sockets = 40;
    std::string much(1 << 20, ' ');
    std::iota(much.begin(), much.end(), '\0');
    std::vector<std::vector<buffer_lease>> kept(sockets);
    std::vector<join_handle<void>> tasks;
    for (auto& leases : kept) {
      auto made = connection();
      tasks.push_back(spawn([&, theirs = made.theirs] {
        auto peer = *stream::adopt(theirs);
        EXPECT_TRUE(peer.send(bytes_of(much)));
      }));
      tasks.push_back(spawn([&leases, ours = std::move(made.ours)]() mutable {
        for (;;) {
          auto some = ours.receive(clock::now() + patience);
          ASSERT_TRUE(some);
          if (some->empty()) return;
          leases.push_back(std::move(*some));
        }
      }));
    }
    for (auto& each : tasks) each.join();
    std::ptrdiff_t of_the_ring = 0;
    for (auto& leases : kept) {
      std::string got;
      for (auto& each : leases) got += text_of(each);
      EXPECT_TRUE(got == much);
      of_the_ring += std::ranges::count_if(leases, is_of_the_ring);
    }
    EXPECT_EQ(of_the_ring, std::ptrdiff_t{buffer_pool::most});
    kept.clear();
    auto [ours, theirs] = connection();
    write_all(theirs, "again");
    EXPECT_TRUE(is_of_the_ring(*ours.receive()));
    ::close(theirs);
  });
}

// Others that fill buffers, which grow more while somebody asks, until none is left; then
// everything that a receive can do. Of the crowd nothing is lost either.
TEST_P(uring_stream, a_crowd_that_does_not_read_holds_up_nobody) {
  bool hoards = !GetParam().contains("uring-recv");  // else a receive takes one, if any
  run([hoards] {
    auto hear = [](stream& s) {
      auto got = s.receive(clock::now() + patience);
      EXPECT_TRUE(got);
      return got ? std::move(*got) : buffer_lease();
    };
    auto [early, early_peer] = connection();
    auto waiting = spawn([&] { return std::string(text_of(hear(early))); });
    auto [other, other_peer] = connection();
    std::string said(9 * 8192, ' ');  // more than a socket may hold unread
    std::iota(said.begin(), said.end(), '\0');
    std::vector<pair> crowd;
    bool is_dry = false;
    for (std::size_t most = hoards ? 400 : 40; !is_dry && crowd.size() < most;) {
      for (int i = 0; i < 20; ++i) {
        crowd.push_back(connection());
        write_all(crowd.back().theirs, "-");
        EXPECT_EQ(text_of(hear(crowd.back().ours)), "-");
      }
      for (std::size_t at = 0; at < said.size(); at += 8192) {
        for (auto& each : std::span(crowd).last(20)) {
          write_all(each.theirs, std::string_view(said).substr(at, 8192));
        }
        EXPECT_TRUE(sleep_for(1ms));
      }
      for (int i = 0; i < 2;
           ++i) {  // the second asks for more buffers if there were none
        write_all(other_peer, "x");
        auto got = hear(other);
        ASSERT_EQ(text_of(got), "x");
        is_dry = !is_of_the_ring(got);
      }
    }
    EXPECT_EQ(is_dry, hoards);

    write_all(early_peer, "early");
    EXPECT_EQ(waiting.join(), "early");
    auto [late, late_peer] = connection();
    EXPECT_EQ(late.receive(clock::now() + 5ms).error(), std::errc::timed_out);
    auto cancelled = spawn([&] { return late.receive().error(); });
    yield();
    cancelled.cancel();
    EXPECT_EQ(cancelled.join(), std::errc::operation_canceled);
    write_all(late_peer, "late");
    EXPECT_EQ(text_of(hear(late)), "late");
    ::close(late_peer);
    EXPECT_TRUE(hear(late).empty());
    EXPECT_TRUE(hear(late).empty());
    auto [closed, closed_peer] = connection();
    EXPECT_EQ(closed.receive(clock::now() + 1ms).error(), std::errc::timed_out);
    closed.close();
    char c;
    EXPECT_EQ(::read(closed_peer, &c, 1), 0);

    for (auto& [ours, theirs] : crowd) {
      std::string got;
      while (got.size() < said.size()) {
        auto some = hear(ours);
        ASSERT_FALSE(some.empty());
        got += text_of(some);
      }
      EXPECT_EQ(got, said);
      ::close(theirs);
    }
    write_all(other_peer, "again");
    EXPECT_TRUE(is_of_the_ring(hear(other)));
    for (int fd : {early_peer, other_peer, closed_peer}) ::close(fd);
  });
}

}  // namespace
}  // namespace duel::uring
