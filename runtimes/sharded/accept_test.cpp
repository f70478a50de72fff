// accept_test.cpp - which shard a connection lives on, by each policy, and that it really
// moves there.
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <latch>
#include <numeric>

#include "runtimes/api/net/listener.hpp"
#include "runtimes/api/task.hpp"
#include "runtimes/sharded/test_model.hpp"

namespace duel::sharded {
namespace {

using namespace std::chrono_literals;

// Clients in a thread outside; their ends of the connections.
class clients {
 public:
  explicit clients(net::endpoint server) : server_(server) {}
  ~clients() {
    for (int fd : fds_) ::close(fd);
  }
  // How many the server took.
  int open(int count) {
    int opened = 0;
    for (int i = 0; i < count; ++i) {
      fds_.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      opened += ::connect(fds_.back(), server_.address(), server_.size()) == 0;
    }
    return opened;
  }
  // The home that serves connection `i`, by its own word.
  unsigned ask(std::size_t i) {
    unsigned char home = 0;
    EXPECT_EQ(::write(fds_[i], "?", 1), 1);
    EXPECT_EQ(::read(fds_[i], &home, 1), 1);
    return home;
  }
  void close(std::size_t i) { ::close(std::exchange(fds_[i], -1)); }
  [[nodiscard]] std::size_t size() const { return fds_.size(); }

 private:
  net::endpoint server_;
  std::vector<int> fds_;
};

void answer_with_home(net::stream s) {
  while (auto got = s.receive()) {
    if (got->empty()) return;
    auto home = static_cast<unsigned char>(current_task()->home);
    if (!s.send(std::as_bytes(std::span(&home, 1)))) return;
  }
}

struct policy_on {
  std::string policy, driver;
  friend void PrintTo(const policy_on& p, std::ostream* out) {
    *out << p.policy << " on " << p.driver;
  }
};

class accepting : public testing::TestWithParam<policy_on> {
 protected:
  static constexpr unsigned shards = 3;

  void SetUp() override {
    rlimit files;
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  // A server for as long as `talk` runs in a thread outside.
  void serve(std::function<void(clients&)> talk) {
    auto before = open_descriptors();
    std::optional<net::endpoint> where;
    std::latch ready(1);
    std::jthread outside([&] {
      ready.wait();
      {
        clients all(*where);
        talk(all);
      }
      model->stop(stop_mode::drain);
    });
    model->run([&] {
      EXPECT_TRUE(net::serve({*net::endpoint::parse("127.0.0.1:0")}, &answer_with_home,
                             [&](net::endpoint at) {
                               where = at;
                               ready.count_down();
                             }));
    });
    outside.join();
    EXPECT_EQ(model->live_tasks(), 0u);
    EXPECT_EQ(model->stacks_in_use(), 0u);
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_EQ(total(*model, counter::closed), total(*model, counter::connections));
  }
  std::vector<std::uint64_t> each(counter which) const {
    std::vector<std::uint64_t> values;
    for (auto* c : model->all_counters()) values.push_back(c->get(which));
    return values;
  }
  // Open connections of each shard, once they are so many.
  std::vector<std::uint64_t> open_now(std::uint64_t expected) const {
    for (auto limit = clock::now() + 30s; clock::now() < limit;
         std::this_thread::sleep_for(1ms)) {
      auto begun = each(counter::connections), ended = each(counter::closed);
      for (unsigned i = 0; i < shards; ++i) begun[i] -= ended[i];
      if (std::accumulate(begun.begin(), begun.end(), 0u) == expected) return begun;
    }
    ADD_FAILURE() << "never " << expected << " open connections";
    return std::vector<std::uint64_t>(shards);
  }
  static std::uint64_t spread(const std::vector<std::uint64_t>& values) {
    auto [least, most] = std::ranges::minmax_element(values);
    return *most - *least;
  }
  bool is(std::string_view policy) const { return GetParam().policy == policy; }

  std::unique_ptr<duel::scheduler> model =
      make_test_model(shards, GetParam().driver, {{"accept", GetParam().policy}});
};
INSTANTIATE_TEST_SUITE_P(, accepting,
                         testing::Values(policy_on{"reuseport", "uring"},
                                         policy_on{"reuseport", "epoll"},
                                         policy_on{"round-robin", "uring"},
                                         policy_on{"round-robin", "epoll"},
                                         policy_on{"least-loaded", "uring"},
                                         policy_on{"least-loaded", "epoll"}),
                         [](const auto& p) {
                           auto name = p.param.policy + "_" + p.param.driver;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

TEST_P(accepting, spreads_a_thousand_connections) {
  serve([&](clients& all) {
    EXPECT_EQ(all.open(1000), 1000);
    auto open = open_now(1000);
    if (is("reuseport")) {
      EXPECT_GT(*std::ranges::min_element(open), 0u);  // 3 * (2/3)^1000 says so
      EXPECT_EQ(each(counter::accepted), open);
    } else {
      EXPECT_LE(spread(open), 1u);
      EXPECT_EQ(each(counter::accepted), (std::vector<std::uint64_t>{1000, 0, 0}));
      EXPECT_GT(each(counter::messages)[0], 600u);
    }
    EXPECT_EQ(each(counter::connections_max), open);
    std::vector<std::uint64_t> served(shards);
    for (std::size_t i = 0; i < all.size(); ++i) ++served[all.ask(i)];
    EXPECT_EQ(served, open);
  });
}

// Closes all that one shard serves; the next ones make up for it, or take their turn.
TEST_P(accepting, looks_at_what_is_open_now_if_told_so) {
  serve([&](clients& all) {
    EXPECT_EQ(all.open(60), 60);
    auto before = open_now(60);
    int closed = 0;
    for (std::size_t i = 0; i < 60; ++i) {
      if (all.ask(i) != 1) continue;
      all.close(i);
      ++closed;
    }
    EXPECT_EQ(closed, static_cast<int>(before[1]));
    (void)open_now(60 - before[1]);
    EXPECT_EQ(all.open(closed), closed);
    auto after = open_now(60);
    if (is("least-loaded")) {
      EXPECT_EQ(after, before);
    }
    if (is("round-robin")) {
      EXPECT_EQ(after[1], 7u);  // 20 in turn: 7, 7, 6, beginning at shard 0
    }
  });
}

// A drain finds connections in the backlog, on their way, and just adopted.
TEST_P(accepting, leaves_no_connection_when_it_is_stopped_meanwhile) {
  std::jthread stopper;
  serve([&](clients& all) {
    EXPECT_EQ(all.open(50), 50);
    stopper = std::jthread([&] { model->stop(stop_mode::drain); });
    (void)all.open(50);
  });
}

}  // namespace
}  // namespace duel::sharded
