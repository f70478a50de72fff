// What a poll of the readiness driver hands out.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "runtimes/api/net/stream.hpp"
#include "runtimes/api/task.hpp"
#include "runtimes/api/time.hpp"
#include "runtimes/models.hpp"

namespace duel::epoll {
namespace {

using namespace std::chrono_literals;

class polling : public testing::TestWithParam<const char*> {
 protected:
  std::unique_ptr<scheduler> model_ =
      *make_model({.model = GetParam(), .driver = "epoll", .workers = 1});
  std::uint64_t count(counter which) const {
    std::uint64_t sum = 0;
    for (auto* book : model_->all_counters()) sum += book->get(which);
    return sum;
  }
};

// Many events at once: the tasks that the first ones wake run before the poller asks for,
// or waits for, any more. Those that wake nobody do not count.
TEST_P(polling, ends_when_it_has_woken_64_tasks) {
  constexpr std::size_t silent = 40, many = 200;
  std::vector<int> peers;
  std::uint64_t before = 0, seen_by_the_first = 0;
  model_->run([&] {
    std::vector<net::stream> unread;
    std::vector<join_handle<void>> readers;
    for (std::size_t i = 0; i < silent + many; ++i) {
      int ends[2];
      ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
      peers.push_back(ends[1]);
      if (i < silent) {
        unread.push_back(*net::stream::adopt(ends[0]));
        continue;
      }
      readers.push_back(spawn([&, own = *net::stream::adopt(ends[0])]() mutable {
        EXPECT_EQ(own.receive()->bytes().size(), 1u);
        if (seen_by_the_first == 0) seen_by_the_first = count(counter::events) - before;
      }));
    }
    // All wait, and have been told that they may write.
    while (count(counter::again) < many || count(counter::events) < peers.size())
      sleep_for(1ms);
    before = count(counter::events);
    for (int peer : peers) EXPECT_EQ(::write(peer, "x", 1), 1);
    for (auto& each : readers) each.join();
  });
  // A worker that polls every so many tasks may just have polled once more.
  EXPECT_EQ((seen_by_the_first - silent) % 64, 0u) << seen_by_the_first;
  EXPECT_LE(seen_by_the_first, silent + 2 * 64);
  EXPECT_EQ(count(counter::events), before + silent + many);
  for (int peer : peers) ::close(peer);
}

INSTANTIATE_TEST_SUITE_P(each, polling, testing::Values("stealing", "sharded"));

}  // namespace
}  // namespace duel::epoll
