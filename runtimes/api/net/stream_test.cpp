// What a connection promises under every model: bytes arrive whole and in order, waits
// end at their deadline, and handing memory over changes neither.
#include "runtimes/api/net/stream.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <string>
#include <thread>

#include "runtimes/api/model_test.hpp"
#include "runtimes/api/task.hpp"
#include "runtimes/api/time.hpp"

namespace duel::net {
namespace {

using namespace std::chrono_literals;

class stream_test : public model_test {
 protected:
  // Runs `body` on one end of a connection whose other end, `peer_`, is a plain blocking
  // socket.
  void run_connected(std::function<void(stream)> body) {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    peer_ = ends[1];
    int mine = ends[0];
    run(
        [&] {
          auto s = stream::adopt(mine);
          ASSERT_TRUE(s);
          body(std::move(*s));
        },
        1);
  }
  void TearDown() override {
    if (peer_ >= 0) ::close(peer_);
  }
  std::string read_to_end() {
    std::string all;
    char part[8192];
    for (ssize_t n; (n = ::read(peer_, part, sizeof part)) > 0;) {
      all.append(part, static_cast<std::size_t>(n));
    }
    return all;
  }
  static buffer_lease block_of(stream& s, char filling) {
    buffer_lease block = s.lease_buffer();
    std::memset(block.bytes().data(), filling, block.bytes().size());
    return block;
  }
  int peer_ = -1;
};

TEST_P(stream_test, blocks_handed_over_arrive_whole_in_order_and_before_the_close) {
  std::string got;
  std::thread reader;
  std::size_t expected = 0;
  run_connected([&](stream s) {
    reader = std::thread([&] { got = read_to_end(); });
    for (char c = 'a'; c <= 'z'; ++c) {
      auto block = block_of(s, c);
      expected += block.bytes().size();
      ASSERT_TRUE(s.send(std::move(block), clock::now() + 10s));
    }
  });
  reader.join();
  ASSERT_EQ(got.size(), expected);
  EXPECT_TRUE(std::is_sorted(got.begin(), got.end()));
}

// A driver that looks at deadlines only when its worker sleeps never does here.
TEST_P(stream_test, a_deadline_passes_beside_a_task_that_yields_in_a_busy_loop) {
  if (GetParam().model == "serial") GTEST_SKIP() << "nothing runs beside anything";
  run_connected([](stream s) {
    std::atomic<bool> over{false};
    auto busy = spawn([&] {
      auto limit = clock::now() + 20s;
      while (!over && clock::now() < limit) yield();
      return over.load();
    });
    auto received = s.receive(clock::now() + 30ms);
    ASSERT_FALSE(received);
    EXPECT_EQ(received.error(), std::errc::timed_out);
    over = true;
    EXPECT_TRUE(busy.join()) << "the deadline came after the loop had given up";
  });
}

TEST_P(stream_test, shutdown_comes_after_what_was_handed_over) {
  std::string got;
  run_connected([&](stream s) {
    auto block = block_of(s, 'x');
    block.trim(1'000);
    ASSERT_TRUE(s.send(std::move(block)));
    s.shutdown_send();
    got = read_to_end();
  });
  EXPECT_EQ(got, std::string(1'000, 'x'));
}

TEST_P(stream_test, a_peer_that_never_reads_ends_a_send_at_its_deadline) {
  run_connected([&](stream s) {
    result<void> sent;
    int blocks = 0;
    for (; sent && blocks < 1'000; ++blocks) {
      sent = s.send(block_of(s, 'x'), clock::now() + 30ms);
    }
    ASSERT_FALSE(sent) << blocks << " blocks and no reader";
    EXPECT_EQ(sent.error(), std::errc::timed_out);
  });
}

TEST_P(stream_test, a_peer_that_is_gone_fails_a_send_soon) {
  run_connected([&](stream s) {
    ::shutdown(peer_, SHUT_RDWR);
    result<void> sent;
    for (int i = 0; sent && i < 10; ++i) {
      sent = s.send(block_of(s, 'x'), clock::now() + 1s);
      (void)sleep_for(1ms);
    }
    EXPECT_FALSE(sent);
  });
}

TEST_P(stream_test, receive_ends_at_its_deadline_and_still_works_after) {
  run_connected([&](stream s) {
    auto nothing = s.receive(clock::now() + 20ms);
    ASSERT_FALSE(nothing);
    EXPECT_EQ(nothing.error(), std::errc::timed_out);
    ASSERT_EQ(::write(peer_, "late", 4), 4);
    auto late = s.receive(clock::now() + 5s);
    ASSERT_TRUE(late);
    EXPECT_EQ(std::memcmp(late->bytes().data(), "late", 4), 0);
    ::shutdown(peer_, SHUT_WR);
    auto end = s.receive(clock::now() + 5s);
    ASSERT_TRUE(end);
    EXPECT_TRUE(end->empty());
  });
}

INSTANTIATE_TEST_SUITE_P(switches, stream_test, testing::ValuesIn(stealing_variants()),
                         model_name);
INSTANTIATE_TEST_SUITE_P(models, stream_test, testing::ValuesIn(all_models()),
                         model_name);

}  // namespace
}  // namespace duel::net
