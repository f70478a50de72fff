// counters_test.cpp - what a shard counts about itself, and that an idle one sleeps.
#include <sys/socket.h>
#include <unistd.h>

#include "runtimes/api/net/stream.hpp"
#include "runtimes/api/task.hpp"
#include "runtimes/api/time.hpp"
#include "runtimes/sharded/test_model.hpp"

namespace duel::sharded {
namespace {

using namespace std::chrono_literals;

class counting : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<duel::scheduler> make(unsigned shards, choices chosen = {}) const {
    return make_test_model(shards, GetParam(), std::move(chosen));
  }
};
INSTANTIATE_TEST_SUITE_P(, counting, testing::Values("uring", "epoll"),
                         [](const auto& p) { return p.param; });

std::uint64_t ns(duration d) {
  return static_cast<std::uint64_t>(d.count());
}

// Two ends of a connection, both of this shard.
std::pair<net::stream, net::stream> connection() {
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  return {*net::stream::adopt(ends[0]), *net::stream::adopt(ends[1])};
}

TEST_P(counting, steps_and_the_longest_of_them) {
  auto model = make(1);
  run_clean(*model, [] {
    for (int i = 0; i < 10; ++i) yield();
    burn_for(5ms);
    yield();
  });
  EXPECT_EQ(total(*model, counter::polls), 12u);
  EXPECT_GE(total(*model, counter::longest_poll_ns),
            ns(4ms));  // two clocks disagree a little
}

TEST_P(counting, idle_shards_sleep) {
  auto model = make(2);
  auto begin = clock::now();
  run_clean(*model, [] { EXPECT_TRUE(sleep_for(50ms)); });
  auto took = ns(clock::now() - begin);
  for (auto* each : model->all_counters()) {
    EXPECT_LE(each->get(counter::parks),
              20u);  // a loop that does not sleep makes thousands
    EXPECT_GE(each->get(counter::idle_ns), ns(40ms));
    EXPECT_LE(each->get(counter::idle_ns), each->get(counter::running_ns));
    EXPECT_LE(each->get(counter::running_ns), took);
    EXPECT_EQ(each->get(counter::searching_ns), 0u);
    EXPECT_LT(each->get(counter::spurious), each->get(counter::parks));
    EXPECT_GE(each->get(counter::driver_calls), 1u);
  }
}

TEST_P(counting, a_spinning_shard_does_not_sleep) {
  auto model = make(1, {{"spin-us", "1000000"}});
  run_clean(*model, [] { EXPECT_TRUE(sleep_for(20ms)); });
  EXPECT_EQ(total(*model, counter::parks), 0u);
  EXPECT_GE(total(*model, counter::searching_ns), ns(19ms));
}

// One shard sleeps for the other's messages, again and again.
TEST_P(counting, messages_wake_ups_and_their_way) {
  constexpr unsigned many = 200;
  auto model = make(2);
  std::atomic<unsigned> arrived{0};
  run_clean(*model, [&] {
    for (unsigned i = 0; i < many; ++i) {
      spawn_at(1, [&] { ++arrived; });
      if (i % 4 == 0) {
        EXPECT_TRUE(sleep_for(1ms));
      }
    }
  });
  EXPECT_EQ(arrived, many);
  auto sender = model->all_counters()[0], receiver = model->all_counters()[1];
  EXPECT_EQ(sender->get(counter::messages), many);
  EXPECT_EQ(receiver->get(counter::received), many);
  EXPECT_EQ(receiver->get(counter::timed), (many + 15) / 16);
  EXPECT_GT(receiver->get(counter::message_ns), 0u);
  EXPECT_GT(sender->get(counter::wake_ups), 0u);
  EXPECT_LE(sender->get(counter::wake_ups), many + 1);  // and one at the end of the run
  EXPECT_GT(receiver->get(counter::parks), 1u);
}

TEST(sharded_counters, a_message_doorbell_is_a_request) {
  auto requests = [](std::string doorbell) {
    auto model = make_test_model(2, "uring", {{"doorbell", doorbell}});
    EXPECT_NE(model->description().find(" doorbell=" + doorbell), std::string::npos);
    run_clean(*model, [] {
      for (int i = 0; i < 20; ++i) {
        spawn_at(1, [] {});
        EXPECT_TRUE(sleep_for(1ms));
      }
    });
    auto& sender = *model->all_counters()[0];
    EXPECT_GT(sender.get(counter::wake_ups), 10u);
    return sender.get(counter::submitted);
  };
  EXPECT_LT(requests("eventfd"), 5u);
  EXPECT_GT(requests("msg-ring"), 10u);
}

// Bytes that are already there: receiving them never waits, so only the budget ends a
// step.
TEST_P(counting, steps_that_the_budget_ends) {
  auto model = make(1, {{"budget", "1"}});
  run_clean(*model, [] {
    auto [ours, theirs] = connection();
    std::vector<std::byte> much(64 * 1024);
    EXPECT_TRUE(theirs.send(much));
    for (std::size_t got = 0; got < much.size();) got += ours.receive()->bytes().size();
  });
  EXPECT_GT(total(*model, counter::forced_yields), 0u);
}

TEST_P(counting, what_the_kernel_was_asked) {
  auto model = make(1);
  run_clean(*model, [] {
    auto [ours, theirs] = connection();
    auto answering = spawn([&] {
      while (auto got = theirs.receive()) {
        if (got->empty()) return;
        EXPECT_TRUE(theirs.send(got->bytes()));
      }
    });
    for (int i = 0; i < 50; ++i) {
      EXPECT_TRUE(ours.send(std::as_bytes(std::span("x", 1))));
      EXPECT_EQ(ours.receive()->bytes().size(), 1u);
    }
    ours.shutdown_send();
    answering.join();
  });
  EXPECT_GE(total(*model, counter::events), 50u);
  EXPECT_GE(total(*model, counter::driver_calls), 50u);
  if (GetParam() == "uring") {
    EXPECT_GE(total(*model, counter::submitted), 100u);  // sends alone
    EXPECT_EQ(total(*model, counter::again), 0u);
  } else {
    EXPECT_EQ(total(*model, counter::submitted), 0u);
    EXPECT_GT(total(*model, counter::again), 0u);
  }
}

}  // namespace
}  // namespace duel::sharded
