// blocking_scheduler_test.cpp - what serial and threads promise: tasks, waits,
// cancellation.
//
// Tests that hold for both models are instantiated for both; those that need two tasks at
// once are for threads alone.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include "runtimes/api/net/endpoint.hpp"
#include "runtimes/api/net/stream.hpp"
#include "runtimes/api/task.hpp"
#include "runtimes/api/time.hpp"
#include "runtimes/drivers/blocking/blocking_driver.hpp"
#include "runtimes/serial/serial_scheduler.hpp"
#include "runtimes/threads/threads_scheduler.hpp"

namespace duel {
namespace {

using namespace std::chrono_literals;
using scheduler_ptr = std::unique_ptr<scheduler>;

scheduler_ptr make(const std::string& model) {
  return model == "serial" ? serial::make_scheduler(make_blocking_driver())
                           : threads::make_scheduler(make_blocking_driver());
}

std::size_t open_descriptors() {
  auto all = std::filesystem::directory_iterator("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

std::size_t os_threads() {
  auto all = std::filesystem::directory_iterator("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

struct descriptor_pair {
  int a, b;
};

descriptor_pair connected_pair() {
  int fds[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  return {fds[0], fds[1]};
}

int listening_socket() {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  auto where = net::endpoint::parse("127.0.0.1:0");
  EXPECT_EQ(::bind(fd, where->address(), where->size()), 0);
  EXPECT_EQ(::listen(fd, 16), 0);
  return fd;
}

void wait_until_blocked(task& t) {
  while (t.blocked_fd.load() == -1) std::this_thread::sleep_for(1ms);
  std::this_thread::sleep_for(20ms);  // long enough to be in the call, most times
}

class blocking_model : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { descriptors_ = open_descriptors(); }
  void TearDown() override {
    EXPECT_EQ(made_->live_tasks(), 0u);
    EXPECT_EQ(open_descriptors(), descriptors_);
    // A joined thread leaves /proc a moment later. TSan has one of its own.
    auto patience = clock::now() + 10s;
    while (os_threads() > 1u + under_tsan && clock::now() < patience)
      std::this_thread::yield();
    EXPECT_LE(os_threads(), 1u + under_tsan);
  }
  void run(std::move_only_function<void()> main) { made_->run(std::move(main)); }
  scheduler& model() { return *made_; }

 private:
  scheduler_ptr made_ = make(GetParam());
  std::size_t descriptors_ = 0;
};

INSTANTIATE_TEST_SUITE_P(models, blocking_model, ::testing::Values("serial", "threads"),
                         [](const auto& which) { return std::string(which.param); });

class threads_model : public blocking_model {};
INSTANTIATE_TEST_SUITE_P(models, threads_model, ::testing::Values("threads"),
                         [](const auto& which) { return std::string(which.param); });

TEST_P(blocking_model, joins_values_and_exceptions) {
  run([] {
    EXPECT_EQ(spawn([] { return 41 + 1; }).join(), 42);
    auto thrower = spawn([]() -> int { throw std::runtime_error("from the task"); });
    EXPECT_THROW(thrower.join(), std::runtime_error);
    auto outer = spawn([] { return spawn([] { return std::string("nested"); }).join(); });
    EXPECT_EQ(outer.join(), "nested");
  });
}

TEST_P(blocking_model, runs_detached_tasks_to_their_end) {
  std::atomic<int> ran{0};
  run([&] {
    for (int i = 0; i < 100; ++i) {
      spawn([&] {
        yield();
        ++ran;
      }).detach();
    }
  });
  EXPECT_EQ(ran, 100);
  EXPECT_EQ(model().all_counters().front()->get(counter::spawns), 101u);
}

TEST_P(blocking_model, sleeps_at_least_as_long_as_asked) {
  run([] {
    auto before = clock::now();
    EXPECT_TRUE(sleep_for(30ms));
    EXPECT_GE(clock::now() - before, 30ms);
  });
}

TEST_P(blocking_model, stop_ends_a_sleep) {
  run([this] {
    std::thread stopper([this] {
      std::this_thread::sleep_for(20ms);
      model().stop(stop_mode::drain);
    });
    EXPECT_EQ(sleep_for(1h).error(), std::errc::operation_canceled);
    EXPECT_EQ(sleep_for(1h).error(), std::errc::operation_canceled);  // later ones too
    stopper.join();
  });
}

TEST_P(blocking_model, stop_ends_a_blocked_receive) {
  run([this] {
    auto [near, far] = connected_pair();
    auto s = net::stream::adopt(near);
    std::thread stopper([this, self = current_task()] {
      wait_until_blocked(*self);
      model().stop(stop_mode::drain);
    });
    EXPECT_EQ(s->receive().error(), std::errc::operation_canceled);
    stopper.join();
    ::close(far);
  });
}

TEST_P(blocking_model, stop_ends_a_blocked_accept) {
  run([this] {
    driver& io = current_task()->owner.io();
    auto s = io.adopt(listening_socket());
    std::thread stopper([this, self = current_task()] {
      wait_until_blocked(*self);
      model().stop(stop_mode::drain);
    });
    operation op{.kind = io_kind::accept, .target = **s, .data = {}};
    io.perform(op);
    EXPECT_EQ(op.result, -ECANCELED);
    stopper.join();
    io.close(std::move(*s));
  });
}

TEST_P(blocking_model, a_drain_leaves_a_shielded_receive_and_a_cut_ends_it) {
  run([this] {
    auto [near, far] = connected_pair();
    auto s = net::stream::adopt(near);
    shield_scope finish_what_is_begun;
    std::thread peer([this, far = far, self = current_task()] {
      wait_until_blocked(*self);
      model().stop(stop_mode::drain);
      EXPECT_EQ(::write(far, "x", 1), 1);
    });
    auto got = s->receive();
    EXPECT_TRUE(got);
    EXPECT_EQ(got ? got->bytes().size() : 0, 1u);
    peer.join();
    std::thread cutter([this, self = current_task()] {
      wait_until_blocked(*self);
      model().stop(stop_mode::cut);
    });
    EXPECT_EQ(s->receive().error(), std::errc::operation_canceled);
    cutter.join();
    ::close(far);
  });
}

TEST_P(blocking_model, a_cut_ends_a_blocked_send) {
  run([this] {
    auto [near, far] = connected_pair();
    auto s = net::stream::adopt(near);
    std::vector<std::byte> more_than_fits(64 << 20);
    shield_scope finish_what_is_begun;
    std::thread cutter([this, self = current_task()] {
      wait_until_blocked(*self);
      model().stop(stop_mode::cut);
    });
    EXPECT_EQ(s->send(more_than_fits).error(), std::errc::operation_canceled);
    cutter.join();
    ::close(far);
  });
}

TEST_P(blocking_model, waits_end_at_their_deadlines) {
  run([] {
    auto [near, far] = connected_pair();
    auto s = net::stream::adopt(near);
    auto deadline = clock::now() + 50ms;
    EXPECT_EQ(s->receive(deadline).error(), std::errc::timed_out);
    EXPECT_GE(clock::now(), deadline);
    EXPECT_EQ(s->receive(clock::now() - 1s).error(), std::errc::timed_out);
    std::vector<std::byte> more_than_fits(64 << 20);
    deadline = clock::now() + 50ms;
    EXPECT_EQ(s->send(more_than_fits, deadline).error(), std::errc::timed_out);
    EXPECT_GE(clock::now(), deadline);
    ::close(far);
  });
}

TEST_P(blocking_model, receives_what_was_sent_and_the_end) {
  run([] {
    auto [a, b] = connected_pair();
    auto near = net::stream::adopt(a), far = net::stream::adopt(b);
    auto text = std::as_bytes(std::span("bytes", 5));
    EXPECT_TRUE(near->send(text));
    auto got = far->receive(clock::now() + 10s);
    ASSERT_TRUE(got);
    EXPECT_TRUE(std::ranges::equal(got->bytes(), text));
    near->close();
    auto end = far->receive();
    ASSERT_TRUE(end);
    EXPECT_TRUE(end->empty());
  });
}

TEST_P(threads_model, a_cancelled_task_ends_its_waits) {
  run([] {
    auto [near, far] = connected_pair();
    auto receiver = spawn([fd = near] {
      auto s = net::stream::adopt(fd);
      return s->receive().error();
    });
    auto sleeper = spawn([] { return sleep_for(1h).error(); });
    (void)sleep_for(20ms);
    receiver.cancel();
    sleeper.cancel();
    EXPECT_EQ(receiver.join(), std::errc::operation_canceled);
    EXPECT_EQ(sleeper.join(), std::errc::operation_canceled);
    ::close(far);
  });
}

// Cancellation falls before, into and after the system call.
TEST_P(threads_model, no_cancellation_is_lost_however_it_falls) {
  run([] {
    for (int i = 0; i < 300; ++i) {
      auto [near, far] = connected_pair();
      auto receiver = spawn([fd = near] {
        auto s = net::stream::adopt(fd);
        return s->receive().error();
      });
      for (int spin = 0; spin < i * 50; ++spin) asm volatile("");
      receiver.cancel();
      ASSERT_EQ(receiver.join(), std::errc::operation_canceled);
      ::close(far);
    }
  });
}

// Two tasks hand a turn to and fro through wakers alone; half of the waits have deadlines
// that race with the wake. A lost wake hangs the test.
TEST_P(threads_model, no_wake_is_lost) {
  struct side {
    std::mutex mutex;
    bool turn = false;
    waker waiting;
    void pass() {
      waker w;
      {
        std::lock_guard lock(mutex);
        turn = true;
        w = std::move(waiting);
      }
      std::move(w).wake();
    }
    void await(int round) {
      for (;;) {
        {
          std::lock_guard lock(mutex);
          if (std::exchange(turn, false)) return;
          waiting = waker::of(*current_task());
        }
        suspend(suspend_reason::event, round % 2 ? never : clock::now() + 10us);
      }
    }
  };
  constexpr int rounds = 5000;
  side ping, pong;
  run([&] {
    auto other = spawn([&] {
      for (int i = 0; i < rounds; ++i) {
        ping.await(i);
        pong.pass();
      }
    });
    for (int i = 0; i < rounds; ++i) {
      ping.pass();
      pong.await(i);
    }
    other.join();
  });
  EXPECT_EQ(model().live_tasks(), 0u);
}

TEST_P(threads_model, a_refused_thread_is_an_exception_and_nothing_leaks) {
  if (under_asan || under_tsan) GTEST_SKIP() << "the sanitizers need their address space";
  run([] {
    rlimit before;
    ::getrlimit(RLIMIT_AS, &before);
    std::size_t spawned = 0;
    std::vector<join_handle<void>> all;
    std::atomic<bool> go{false};
    rlimit tight{std::size_t{1} << 30, before.rlim_max};
    ::setrlimit(RLIMIT_AS, &tight);
    try {
      for (; spawned < 20'000; ++spawned) {
        all.push_back(spawn([&] { go.wait(false); }));
      }
      ADD_FAILURE() << "no thread was refused";
    } catch (const std::system_error& refused) {
      EXPECT_NE(std::string(refused.what()).find("ulimit -u"), std::string::npos);
    }
    ::setrlimit(RLIMIT_AS, &before);
    go = true;
    go.notify_all();
    for (auto& h : all) h.join();
    EXPECT_GT(spawned, 1u);
  });
}

}  // namespace
}  // namespace duel
