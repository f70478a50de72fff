// Switching, stacks and what must travel with a fiber.
#include "runtimes/core/fiber.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <functional>
#include <stdexcept>
#include <thread>

namespace duel {
namespace {

struct scene {
  stack_pool pool;
  std::vector<stack> stacks;
  scene() { pool.take(stacks, 4); }
  ~scene() { pool.give_back(stacks, stacks.size()); }
};

struct program {
  fiber self;
  std::function<void(fiber&)> body;
  void prepare(stack on) {
    self.prepare(
        on,
        [](void* p) noexcept {
          auto& me = *static_cast<program*>(p);
          me.body(me.self);
        },
        this);
  }
};

TEST(fiber, runs_in_turns_with_its_resumer) {
  scene s;
  std::string trace;
  program p;
  p.body = [&](fiber& f) {
    trace += 'a';
    f.suspend();
    trace += 'b';
  };
  p.prepare(s.stacks[0]);
  EXPECT_FALSE(p.self.resume());
  trace += '1';
  EXPECT_TRUE(p.self.resume());
  (void)p.self.release_stack();
  EXPECT_EQ(trace, "a1b");
}

TEST(fiber, exceptions_in_flight_stay_with_their_fiber) {
  scene s;
  std::string seen[2];
  program p[2];
  for (int i = 0; i < 2; ++i) {
    p[i].body = [&seen, i](fiber& f) {
      try {
        throw std::runtime_error(i == 0 ? "zero" : "one");
      } catch (const std::exception&) {
        f.suspend();  // inside the handler, while the other fiber throws and catches
        try {
          throw;
        } catch (const std::exception& again) {
          seen[i] = again.what();
        }
      }
    };
    p[i].prepare(s.stacks[static_cast<std::size_t>(i)]);
  }
  EXPECT_FALSE(p[0].self.resume());
  EXPECT_FALSE(p[1].self.resume());
  EXPECT_EQ(std::uncaught_exceptions(), 0);
  EXPECT_EQ(std::current_exception(), nullptr) << "the resumer is in no handler";
  // Each continues on a thread that has never seen it.
  for (auto& each : p) {
    std::thread([&] {
      EXPECT_TRUE(each.self.resume());
      (void)each.self.release_stack();
    }).join();
  }
  EXPECT_EQ(seen[0], "zero");
  EXPECT_EQ(seen[1], "one");
}

TEST(fiber, uncaught_count_travels_through_a_suspending_destructor) {
  scene s;
  program p;
  int before = -1, after = -1;
  p.body = [&](fiber& f) {
    struct guard {
      fiber& f;
      int &before, &after;
      ~guard() {
        before = std::uncaught_exceptions();
        f.suspend();
        after = std::uncaught_exceptions();
      }
    };
    try {
      guard g{f, before, after};
      throw 1;
    } catch (int) {
    }
  };
  p.prepare(s.stacks[0]);
  EXPECT_FALSE(p.self.resume());
  EXPECT_EQ(std::uncaught_exceptions(), 0);
  std::thread([&] {
    EXPECT_TRUE(p.self.resume());
    (void)p.self.release_stack();
  }).join();
  EXPECT_EQ(before, 1);
  EXPECT_EQ(after, 1);
}

TEST(stack_pool, reuses_what_was_returned_last_and_counts) {
  stack_pool pool;
  {
    stack_cache cache(pool);
    stack a = cache.take();
    EXPECT_GE(a.size(), 60 * 1024u);
    cache.give_back(a);
    EXPECT_EQ(cache.take().data(), a.data());
    cache.give_back(a);
  }
  EXPECT_EQ(pool.available(), pool.mapped());
}

TEST(stack_pool, an_overflow_hits_the_guard_page) {
  stack_pool pool;
  std::vector<stack> stacks;
  pool.take(stacks, 1);
  stacks[0].front() = std::byte{1};  // the lowest usable byte
  pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGSEGV, SIG_DFL);
    ::signal(SIGBUS, SIG_DFL);
    *const_cast<volatile std::byte*>(stacks[0].data() - 1) = std::byte{1};
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status)) << "writing below the stack must not succeed";
  pool.give_back(stacks, 1);
}

}  // namespace
}  // namespace duel
