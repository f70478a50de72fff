// migration_test.cpp - tasks that change threads at nearly every step, while exceptions
// are in flight, thread-locals in use, and joins, channels, timers and cancellations
// under way.
//
// All woken and yielding tasks go through one queue, four workers take from it, and now
// and then a task blocks its worker, so that the others go on without it. The sanitizers
// do the rest. DUEL_SOAK_SECONDS=N repeats each case for that long.
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "runtimes/api/model_test.hpp"
#include "runtimes/api/sync/channel.hpp"
#include "runtimes/api/task.hpp"
#include "runtimes/api/time.hpp"

namespace duel {
namespace {

using namespace std::chrono_literals;

constexpr int pairs = 12, rounds = under_tsan ? 100 : 400;

// What every thread has for itself, reached as thread-locals must be in a fiber.
struct of_thread {
  pthread_t owner = ::pthread_self();
  int scratch = 0;
};
[[gnu::noinline]] of_thread& this_threads() {
  asm volatile("");
  thread_local of_thread mine;
  return mine;
}

// One task's look at the threads it runs on.
class traveller {
 public:
  // Waits once, and checks that what belongs to the task came along and what belongs to
  // the thread did not.
  void move() {
    task* self = current_task();
    auto before = current_thread_id();
    int uncaught = std::uncaught_exceptions();
    if (++steps_ % 8 == 0) block_for(20us);
    yield();
    auto after = current_thread_id();
    seen_.insert(after);
    moves_ += after != before;
    expect(current_task() == self);
    expect(this_threads().owner == after);
    expect(std::uncaught_exceptions() == uncaught);
    this_threads().scratch = steps_;
    set_errno(steps_);
    expect(this_threads().scratch == steps_ && get_errno() == steps_);
  }
  void expect(bool is_right) { wrong_ += !is_right; }

  [[nodiscard]] std::size_t threads() const { return seen_.size(); }
  [[nodiscard]] int steps() const { return steps_; }
  [[nodiscard]] int moves() const { return moves_; }
  [[nodiscard]] int wrong() const { return wrong_; }

 private:
  std::set<pthread_t> seen_;
  int steps_ = 0, moves_ = 0, wrong_ = 0;
};

// Moves while an exception passes it.
struct moves_at_end {
  traveller& who;
  ~moves_at_end() {
    who.expect(std::uncaught_exceptions() == 1);
    who.move();
  }
};

void throw_and_move(traveller& who, int mark) {
  try {
    moves_at_end first{who}, second{who};
    throw mark;
  } catch (int caught) {
    who.expect(caught == mark);
    who.move();
    try {
      who.move();
      throw std::to_string(mark);
    } catch (std::string& inner) {
      who.move();
      who.expect(inner == std::to_string(mark));
    }
    try {
      throw;
    } catch (int again) {
      who.expect(again == mark);
    }
  }
  who.expect(!std::current_exception());
}

void join_and_move(traveller& who, int mark) {
  auto value = spawn([mark] {
    yield();
    return mark;
  });
  auto failure = spawn([mark]() -> int {
    yield();
    throw mark;
  });
  auto left_alone = spawn([mark] {
    yield();
    return std::make_unique<int>(mark);
  });
  left_alone.detach();
  who.expect(value.join() == mark);
  try {
    failure.join();
    who.expect(false);
  } catch (int thrown) {
    who.move();
    who.expect(thrown == mark);
  }
}

void sleep_and_cancel(traveller& who, int mark) {
  who.expect(sleep_for(std::chrono::microseconds(mark % 4 * 50)).has_value());
  auto sleeper = spawn([] {
    auto first = sleep_for(1h);
    yield();
    return !first && first.error() == std::errc::operation_canceled && !sleep_for(1h);
  });
  if (mark % 2) who.move();
  sleeper.cancel();
  who.expect(sleeper.join());
}

// One of two that send to each other what the other must expect.
traveller travel(channel<int>& out, channel<int>& in) {
  traveller who;
  for (int round = 0; round < rounds; ++round) {
    switch (round % 3) {
      case 0:
        throw_and_move(who, round);
        break;
      case 1:
        join_and_move(who, round);
        break;
      case 2:
        sleep_and_cancel(who, round);
        break;
    }
    who.expect(out.send(round).has_value());
    auto got = in.receive();
    who.expect(got.has_value() && *got == round);
    who.move();
  }
  return who;
}

struct journey {
  long steps = 0, moves = 0, wrong = 0;
  std::size_t fewest_threads = ~0ul;
};

journey travel_all() {
  std::vector<std::unique_ptr<channel<int>>> channels;
  std::vector<join_handle<traveller>> all;
  for (int i = 0; i < pairs; ++i) {
    auto& there = *channels.emplace_back(std::make_unique<channel<int>>(1));
    auto& back = *channels.emplace_back(std::make_unique<channel<int>>(1));
    all.push_back(spawn([&] { return travel(there, back); }));
    all.push_back(spawn([&] { return travel(back, there); }));
  }
  journey sum;
  for (auto& each : all) {
    auto who = each.join();
    sum.steps += who.steps();
    sum.moves += who.moves();
    sum.wrong += who.wrong();
    sum.fewest_threads = std::min(sum.fewest_threads, who.threads());
  }
  return sum;
}

class migration : public model_test {};

TEST_P(migration, disturbs_nothing) {
  const char* soak = std::getenv("DUEL_SOAK_SECONDS");
  auto until = clock::now() + std::chrono::seconds(soak ? std::stoi(soak) : 0);
  bool is_pinned = GetParam().model == "sharded";
  run([&] {
    do {
      auto made = travel_all();
      EXPECT_EQ(made.wrong, 0);
      if (is_pinned) {
        EXPECT_EQ(made.moves, 0);
        EXPECT_EQ(made.fewest_threads, 1u);
      } else {
        EXPECT_GE(made.fewest_threads, 2u) << "a task never moved: it tested nothing";
        EXPECT_GT(made.moves, made.steps / 10) << "of " << made.steps;
      }
    } while (clock::now() < until && !testing::Test::HasFailure());
  });
}

INSTANTIATE_TEST_SUITE_P(
    models, migration,
    testing::Values(
        test_model{"stealing", 4, "", {{"queue", "global"}, {"lifo", "off"}}},
        test_model{"stealing", 4, "uring", {{"queue", "global"}, {"lifo", "off"}}},
        test_model{"stealing",
                   4,
                   "",
                   {{"queue", "global"}, {"lifo", "off"}, {"reactor", "thread"}}},
        test_model{"sharded", 2}),
    model_name);

}  // namespace
}  // namespace duel
