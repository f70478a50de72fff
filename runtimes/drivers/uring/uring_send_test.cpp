// uring_send_test.cpp - sending, in every way the ring has. The ways:
// uring_driver_test.cpp.
#include <numeric>

#include "runtimes/api/task.hpp"
#include "runtimes/api/time.hpp"
#include "runtimes/core/shuffle.hpp"
#include "runtimes/drivers/uring/test_uring_stream.hpp"

namespace duel::uring {
namespace {

using namespace std::chrono_literals;

TEST_P(uring_stream, send_ends_at_its_deadline_and_when_cancelled) {
  run([] {
    auto [ours, theirs] = connection();
    std::string much(32 << 20, 'x');  // more than the socket buffers take
    EXPECT_EQ(ours.send(bytes_of(much), clock::now() + 20ms).error(),
              std::errc::timed_out);
    auto sending = spawn([&] { return ours.send(bytes_of(much)); });
    EXPECT_TRUE(sleep_for(5ms));
    sending.cancel();
    EXPECT_EQ(sending.join().error(), std::errc::operation_canceled);
    ::close(theirs);
  });
  auto way = GetParam().find("uring-send");
  bool tries_first = way != GetParam().end() && way->second == "direct";
  EXPECT_EQ(sharded::total(*model, counter::again) > 0, tries_first);
}

// Whatever way it is sent: given up at the deadline, and its memory comes back.
TEST_P(uring_stream, gives_up_what_was_handed_over_at_its_deadline) {
  run([] {
    auto [ours, theirs] = connection();
    std::error_code error;
    for (int i = 0; i < 2000 && !error; ++i) {  // more than the socket buffers take
      auto sent = ours.send(ours.lease_buffer(), clock::now() + 20ms);
      if (!sent) error = sent.error();
    }
    EXPECT_EQ(error, std::errc::timed_out);
    ours.close();
    ::close(theirs);
  });
}

// An answer leaves between two handlers that compute, not after the last.
TEST(uring_send, does_not_wait_for_every_task_that_is_ready) {
  if (shuffle::is_on()) GTEST_SKIP() << "the order is drawn";
  auto model = sharded::make_test_model(1);
  sharded::run_clean(*model, [] {
    auto [ours, theirs] = connection();
    char got = 0;
    auto answering = spawn([&] { EXPECT_TRUE(ours.send(bytes_of("a"))); });
    auto computing = spawn([] { burn_for(1ms); });
    auto after = spawn([&] { EXPECT_EQ(::recv(theirs, &got, 1, MSG_DONTWAIT), 1); });
    answering.join();
    computing.join();
    after.join();
    EXPECT_EQ(got, 'a');
    ::close(theirs);
  });
}

TEST_P(uring_stream, sends_much_while_it_receives_it) {
  run([] {
    auto [ours, theirs] = connection();
    auto peer = *stream::adopt(theirs);
    std::string much(3 << 20, ' ');
    std::iota(much.begin(), much.end(), '\0');
    auto sending = spawn([&] {
      EXPECT_TRUE(ours.send(bytes_of(much)));
      ours.shutdown_send();
    });
    std::string got;
    for (;;) {
      auto some = peer.receive();
      ASSERT_TRUE(some);
      if (some->empty()) break;
      got += text_of(*some);
    }
    sending.join();
    EXPECT_TRUE(got == much);
  });
}

TEST_P(uring_stream, lends_blocks_for_output) {
  run([] {
    auto [ours, theirs] = connection();
    auto block = ours.lease_buffer();
    EXPECT_EQ(block.bytes().size(), 16u * 1024);
    std::copy_n("hello", 5, reinterpret_cast<char*>(block.bytes().data()));
    block.trim(5);
    EXPECT_TRUE(ours.send(block.bytes()));
    char got[8];
    EXPECT_EQ(::read(theirs, got, sizeof got), 5);
    ::close(theirs);
  });
}

}  // namespace
}  // namespace duel::uring
