// uring_driver_test.cpp - streams and listeners over io_uring, with every kernel feature
// the driver can do without switched on and off.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <numeric>

#include "runtimes/api/task.hpp"
#include "runtimes/api/time.hpp"
#include "runtimes/drivers/uring/test_uring_stream.hpp"
#include "runtimes/drivers/uring/uring_driver.hpp"

namespace duel::uring {
namespace {

using namespace std::chrono_literals;
using sharded::choices;

INSTANTIATE_TEST_SUITE_P(
    , uring_stream,
    testing::Values(choices{}, choices{{"uring-recv", "oneshot"}},
                    choices{{"uring-flags", "coop"}}, choices{{"uring-flags", "none"}},
                    choices{{"uring-flags", "sqpoll"}}, choices{{"uring-send", "direct"}},
                    choices{{"uring-send", "zero-copy"}}, choices{{"flush", "idle"}},
                    choices{{"flush", "1"}}, choices{{"flush", "8"}},
                    choices{{"uring-flags", "sqpoll"},
                            {"uring-recv", "oneshot"},
                            {"uring-send", "zero-copy"},
                            {"flush", "idle"}}),
    [](const auto& p) {
      std::string name = p.param.empty() ? "defaults" : "";
      for (auto& [key, value] : p.param) name += key + "_" + value + "_";
      std::ranges::replace(name, '-', '_');
      return name;
    });

TEST_P(uring_stream, receives_what_the_peer_sends_and_its_end) {
  run([] {
    auto [ours, theirs] = connection();
    write_all(theirs, "one");
    EXPECT_EQ(text_of(*ours.receive()), "one");
    auto waiting = spawn([&] { return std::string(text_of(*ours.receive())); });
    yield();
    write_all(theirs, "two");
    EXPECT_EQ(waiting.join(), "two");
    write_all(theirs, "three");
    ::close(theirs);
    EXPECT_EQ(text_of(*ours.receive()), "three");
    EXPECT_TRUE(ours.receive()->empty());
    EXPECT_TRUE(ours.receive()->empty());
  });
}

TEST_P(uring_stream, reports_a_reset_after_the_data) {
  run([] {
    auto [ours, theirs] = connection();
    write_all(theirs, "last");
    EXPECT_EQ(text_of(*ours.receive()), "last");
    linger at_once_reset{1, 0};
    ::setsockopt(theirs, SOL_SOCKET, SO_LINGER, &at_once_reset, sizeof at_once_reset);
    ::close(theirs);
    EXPECT_EQ(ours.receive().error(), std::errc::connection_reset);
    EXPECT_EQ(ours.receive().error(), std::errc::connection_reset);
    auto sent = ours.send(bytes_of("x"));
    EXPECT_EQ(sent.error(), std::errc::broken_pipe);
  });
}

TEST_P(uring_stream, receive_ends_at_its_deadline_and_loses_nothing) {
  run([] {
    auto [ours, theirs] = connection();
    EXPECT_EQ(ours.receive(clock::now() + 5ms).error(), std::errc::timed_out);
    EXPECT_EQ(ours.receive(clock::now() - 1h).error(), std::errc::timed_out);
    write_all(theirs, "late");
    EXPECT_EQ(text_of(*ours.receive(clock::now() + 1h)), "late");
    EXPECT_EQ(ours.receive(clock::now() + 5ms).error(), std::errc::timed_out);
    ::close(theirs);
    EXPECT_TRUE(ours.receive()->empty());
  });
}

TEST_P(uring_stream, says_what_it_uses) {
  for (auto& [flag, value] : GetParam()) {
    EXPECT_NE(model->description().find(" " + flag + "=" + value), std::string::npos);
  }
}

// The peer fills far more buffers than one socket may hold before anybody reads.
TEST_P(uring_stream, a_slow_reader_gets_everything_in_order) {
  run([] {
    auto [ours, theirs] = connection();
    write_all(theirs, "first");
    EXPECT_EQ(text_of(*ours.receive()), "first");
    std::string much(1 << 20, ' ');
    std::iota(much.begin(), much.end(), '\0');
    auto peer = *stream::adopt(theirs);
    auto sending = spawn([&] {
      EXPECT_TRUE(peer.send(bytes_of(much)));
      peer.close();
    });
    EXPECT_TRUE(sleep_for(20ms));
    std::string got;
    for (;;) {
      auto some = ours.receive();
      ASSERT_TRUE(some);
      if (some->empty()) break;
      got += text_of(*some);
      if (got.size() % (256 * 1024) == 0) (void)sleep_for(1ms);
    }
    sending.join();
    EXPECT_TRUE(got == much);
  });
}

TEST_P(uring_stream, closes_with_bytes_unread_and_a_receive_armed) {
  run([] {
    auto [ours, theirs] = connection();
    EXPECT_EQ(ours.receive(clock::now() + 1ms).error(), std::errc::timed_out);
    for (int i = 0; i < 20; ++i) write_all(theirs, "unread");
    EXPECT_TRUE(sleep_for(2ms));
    ours.close();
    char c;
    EXPECT_LE(::read(theirs, &c, 1), 0);
    ::close(theirs);
  });
}

TEST_P(uring_stream, a_cancelled_receive_leaves_the_data_for_the_next) {
  run([] {
    auto [ours, theirs] = connection();
    auto first = spawn([&] { return ours.receive().error(); });
    yield();
    yield();
    first.cancel();
    EXPECT_EQ(first.join(), std::errc::operation_canceled);
    write_all(theirs, "kept");
    EXPECT_EQ(text_of(*ours.receive()), "kept");
    ::close(theirs);
  });
}

TEST_P(uring_stream, accepts_until_cancelled_and_leaks_nothing) {
  run([] {
    int fd = listening_socket();
    auto where = net::endpoint::of_socket(fd);
    std::vector<int> clients;
    {
      auto l = *net::listener::adopt(fd);
      clients.push_back(connect_to(where));
      EXPECT_TRUE(l.accept());
      auto waiting = spawn([&] { return l.accept().error(); });
      yield();
      waiting.cancel();
      EXPECT_EQ(waiting.join(), std::errc::operation_canceled);
      // Accepted by the kernel, and taken by nobody before the listener closes.
      for (int i = 0; i < 10; ++i) clients.push_back(connect_to(where));
      EXPECT_TRUE(sleep_for(2ms));
    }
    for (int client : clients) ::close(client);
  });
}

TEST_P(uring_stream, reports_exhaustion_and_accepts_again) {
  run([] {
    int fd = listening_socket();
    auto where = net::endpoint::of_socket(fd);
    auto l = *net::listener::adopt(fd);
    int client = connect_to(where);
    rlimit before, low;
    ::getrlimit(RLIMIT_NOFILE, &before);
    low = before;
    low.rlim_cur = 3;
    ::setrlimit(RLIMIT_NOFILE, &low);
    auto refused = l.accept();
    ::setrlimit(RLIMIT_NOFILE, &before);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), std::errc::too_many_files_open);
    EXPECT_TRUE(l.accept());
    ::close(client);
  });
}

TEST_P(uring_stream, serves_two_thousand_connections_and_keeps_none) {
  run([&] {
    int echoed = 0;
    constexpr int many = 2'000, at_once_open = 100;
    auto server = spawn([&] {
      auto any = net::endpoint::parse("127.0.0.1:0");
      EXPECT_TRUE(net::serve(
          {*any},
          [](stream s) {
            while (auto got = s.receive(clock::now() + 1h)) {
              if (got->empty() || !s.send(got->bytes())) return;
            }
          },
          [&](net::endpoint where) {
            spawn([&, where] {
              for (int round = 0; round < many / at_once_open; ++round) {
                std::vector<join_handle<void>> clients;
                for (int i = 0; i < at_once_open; ++i) {
                  clients.push_back(spawn([&, i] {
                    auto s = *stream::adopt(connect_to(where));
                    std::string text = "hello " + std::to_string(i);
                    EXPECT_TRUE(s.send(bytes_of(text)));
                    echoed += text_of(*s.receive()) == text;
                    if (i % 2 == 0) s.shutdown_send();
                  }));
                }
                for (auto& c : clients) c.join();
              }
              model->stop(stop_mode::drain);
            }).detach();
          }));
    });
    server.join();
    EXPECT_EQ(echoed, many);
  });
  EXPECT_EQ(sharded::total(*model, counter::accepted), 2'000u);
}

// A yield loop must see completions without paying a system call a turn for the question.
TEST_P(uring_stream, completes_operations_beside_a_task_that_yields_in_a_loop) {
  run([] {
    auto [ours, theirs] = connection();
    bool done = false;
    auto busy = spawn([&] {
      while (!done) yield();
    });
    for (int i = 0; i < 100; ++i) {
      EXPECT_TRUE(ours.send(bytes_of("ping")));
      char got[4];
      EXPECT_EQ(::read(theirs, got, 4), 4);
      write_all(theirs, "pong");
      EXPECT_EQ(text_of(*ours.receive()), "pong");
    }
    done = true;
    busy.join();
    ::close(theirs);
  });
}

// In a child process, whose system-call filter answers EPERM, as container run-times do.
TEST(uring_death_test, says_how_to_get_it_where_it_is_refused) {
  auto ask_behind_a_filter = [] {
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog filter{std::size(program), program};
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
    auto chosen = supported({});
    std::fprintf(stderr, "%s\n", chosen ? "not refused" : chosen.error().c_str());
    std::_Exit(1);
  };
  EXPECT_EXIT(
      ask_behind_a_filter(), testing::ExitedWithCode(1),
      "io_uring is refused: Operation not permitted, errno 1 "
      ".set sysctl kernel.io_uring_disabled=0 and .*--model stealing or --model threads");
}

}  // namespace
}  // namespace duel::uring
