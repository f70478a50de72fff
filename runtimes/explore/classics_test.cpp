// The explorer on programs whose verdict is known: it finds what is wrong, in the memory
// model that allows it and in no other, and passes what is right.
#include <gtest/gtest.h>

#include "runtimes/explore/explorer.hpp"
#include "runtimes/explore/sync.hpp"

namespace duel::explore {
namespace {

constexpr auto plain_order = memory_model::interleaving;
constexpr auto tso = memory_model::tso;
constexpr auto weak = memory_model::weak;

verdict run(std::function<void()> body, memory_model memory, unsigned bound = 3) {
  model m{.name = "test", .summary = "", .body = std::move(body), .bound = bound};
  return explore(m, memory);
}

// --- store buffering: Dekker's and Peterson's algorithms
// --------------------------------

// Both threads announce themselves, then look for the other: both must not miss.
std::function<void()> dekker(std::memory_order store, std::memory_order load,
                             bool fenced = false) {
  return [=] {
    atomic<int> x{0}, y{0};
    int seen_by_a = -1, seen_by_b = -1;
    jthread a([&] {
      x.store(1, store);
      if (fenced) fence({});
      seen_by_a = y.load(load);
    });
    jthread b([&] {
      y.store(1, store);
      if (fenced) fence({});
      seen_by_b = x.load(load);
    });
    a.join();
    b.join();
    require(seen_by_a == 1 || seen_by_b == 1, "one sees the other");
  };
}

TEST(explorer, dekker_without_a_fence_is_right_only_without_store_buffers) {
  auto body = dekker(std::memory_order_release, std::memory_order_acquire);
  EXPECT_TRUE(run(body, plain_order).holds());
  EXPECT_EQ(run(body, tso).kind, failure::requirement);
  EXPECT_EQ(run(body, weak).kind, failure::requirement);
}

TEST(explorer, dekker_with_a_fence_or_ordered_stores_is_right) {
  for (auto memory : {plain_order, tso, weak}) {
    EXPECT_TRUE(
        run(dekker(std::memory_order_relaxed, std::memory_order_relaxed, true), memory)
            .holds());
    EXPECT_TRUE(run(dekker(std::memory_order_seq_cst, std::memory_order_seq_cst), memory)
                    .holds());
  }
}

std::function<void()> peterson(std::memory_order order) {
  return [=] {
    atomic<int> wants[2]{0, 0}, turn{0};
    var<int> inside{0};
    auto enter = [&](int me) {
      wants[me].store(1, order);
      turn.store(1 - me, order);
      while (wants[1 - me].load() == 1 && turn.load() == 1 - me) yield();
      inside = inside + 1;
      wants[me].store(0, std::memory_order_release);
    };
    jthread a([&] { enter(0); });
    jthread b([&] { enter(1); });
    a.join();
    b.join();
    require(inside == 2, "both were inside, one after the other");
  };
}

TEST(explorer, peterson_needs_its_stores_ordered) {
  EXPECT_TRUE(run(peterson(std::memory_order_seq_cst), plain_order).holds());
  EXPECT_TRUE(run(peterson(std::memory_order_seq_cst), tso).holds());
  EXPECT_TRUE(run(peterson(std::memory_order_seq_cst), weak).holds());
  EXPECT_FALSE(run(peterson(std::memory_order_release), tso).holds());
}

// --- message passing
// --------------------------------------------------------------------

std::function<void()> message(std::memory_order store, std::memory_order load) {
  return [=] {
    var<int> data{0};
    atomic<bool> ready{false};
    jthread writer([&] {
      data = 42;
      ready.store(true, store);
    });
    if (ready.load(load)) require(data == 42, "what was written is read");
    writer.join();
  };
}

TEST(explorer, a_message_needs_release_and_acquire) {
  for (auto memory : {plain_order, tso, weak}) {
    EXPECT_TRUE(run(message(std::memory_order_release, std::memory_order_acquire), memory)
                    .holds());
    EXPECT_EQ(
        run(message(std::memory_order_relaxed, std::memory_order_acquire), memory).kind,
        failure::race);
    EXPECT_EQ(
        run(message(std::memory_order_release, std::memory_order_relaxed), memory).kind,
        failure::race);
  }
}

TEST(explorer, relaxed_flags_may_be_seen_out_of_order_in_the_weak_model) {
  auto body = [](std::memory_order order) {
    return [=] {
      atomic<int> data{0}, ready{0};
      jthread writer([&] {
        data.store(1, std::memory_order_relaxed);
        ready.store(1, order);
      });
      if (ready.load(std::memory_order_acquire) == 1) {
        require(data.load(std::memory_order_relaxed) == 1, "the flag comes second");
      }
      writer.join();
    };
  };
  EXPECT_TRUE(run(body(std::memory_order_relaxed), plain_order).holds());
  EXPECT_TRUE(run(body(std::memory_order_relaxed), tso).holds());
  EXPECT_FALSE(run(body(std::memory_order_relaxed), weak).holds());
  EXPECT_TRUE(run(body(std::memory_order_release), weak).holds());
}

// Two readers may see two independent stores in different orders, unless all is seq_cst.
TEST(explorer, independent_reads_of_independent_writes) {
  auto body = [](std::memory_order order) {
    return [=] {
      atomic<int> x{0}, y{0};
      int x_first = 0, then_y = 0, y_first = 0, then_x = 0;
      jthread a([&] { x.store(1, order); });
      jthread b([&] { y.store(1, order); });
      jthread c([&] {
        x_first = x.load(order == std::memory_order_release ? std::memory_order_acquire
                                                            : order);
        then_y = y.load(order == std::memory_order_release ? std::memory_order_acquire
                                                           : order);
      });
      y_first =
          y.load(order == std::memory_order_release ? std::memory_order_acquire : order);
      then_x =
          x.load(order == std::memory_order_release ? std::memory_order_acquire : order);
      a.join();
      b.join();
      c.join();
      require(!(x_first && !then_y && y_first && !then_x), "one order for both");
    };
  };
  EXPECT_TRUE(run(body(std::memory_order_release), plain_order).holds());
  EXPECT_TRUE(run(body(std::memory_order_release), tso).holds());
  EXPECT_FALSE(run(body(std::memory_order_release), weak).holds());
  EXPECT_TRUE(run(body(std::memory_order_seq_cst), weak).holds());
}

TEST(explorer, increments_by_load_and_store_are_lost_and_found) {
  auto body = [](bool atomically) {
    return [=] {
      atomic<int> n{0};
      auto add = [&] { atomically ? void(n.fetch_add(1)) : n.store(n.load() + 1); };
      jthread a(add), b(add);
      a.join();
      b.join();
      require(n.load() == 2, "both count");
    };
  };
  auto lost = run(body(false), plain_order);
  EXPECT_EQ(lost.kind, failure::requirement);
  EXPECT_EQ(world.by().cost(), 1u) << "one preemption is enough, and so is tried first";
  auto right = run(body(true), plain_order);
  EXPECT_TRUE(right.holds());
  EXPECT_TRUE(right.is_complete);
}

// --- lock-free structures
// ---------------------------------------------------------------

struct node {
  var<node*> next = nullptr;
};

// Treiber's stack; `reuses` puts a popped node back at once: the ABA problem.
TEST(explorer, treibers_stack_and_aba) {
  auto body = [](bool reuses) {
    return [=] {
      node nodes[3];
      atomic<node*> top{nullptr};
      auto push = [&](node* n) {
        node* seen = top.load();
        do {
          n->next = seen;
        } while (!top.compare_exchange_strong(seen, n));
      };
      auto pop = [&]() -> node* {
        node* seen = top.load();
        while (seen && !top.compare_exchange_strong(seen, seen->next)) {
        }
        return seen;
      };
      for (auto& n : nodes) push(&n);
      jthread other([&] {
        node* first = pop();
        node* second = pop();
        if (reuses && first) push(first);
        (void)second;
      });
      (void)pop();
      other.join();
      // Three popped, at most one pushed back: the second must not be on it again.
      unsigned left = 0;
      for (node* n = top.load(); n; n = n->next) ++left;
      require(left <= (reuses ? 1u : 0u), "a popped node stays popped");
    };
  };
  EXPECT_TRUE(run(body(false), plain_order).holds());
  EXPECT_FALSE(run(body(true), plain_order).holds());
}

// --- what else can go wrong
// -------------------------------------------------------------

TEST(explorer, a_deadlock_names_who_waits_for_what) {
  auto v = run(
      [] {
        mutex m, n;
        jthread a([&] {
          std::lock_guard first(m);
          std::lock_guard second(n);
        });
        std::lock_guard first(n);
        std::lock_guard second(m);
      },
      plain_order);
  EXPECT_EQ(v.kind, failure::deadlock);
  EXPECT_NE(
      v.message.find("A waits for a lock that B holds; B waits for a lock that A holds"),
      std::string::npos)
      << v.message;
}

TEST(explorer, two_that_spin_for_each_other_are_a_livelock) {
  model m{.name = "test", .summary = "", .body = [] {
            atomic<int> a{0}, b{0};
            jthread other([&] {
              while (a.load() == 0) yield();
              b.store(1);
            });
            while (b.load() == 0) yield();
            a.store(1);
          }};
  m.how.most_steps = 500;
  EXPECT_EQ(explore(m, plain_order).kind, failure::livelock);
}

TEST(explorer, a_spinlock_that_yields_ends) {
  auto v = run(
      [] {
        atomic<bool> taken{false};
        var<int> n{0};
        auto add = [&] {
          while (taken.exchange(true, std::memory_order_acquire)) yield();
          n = n + 1;
          taken.store(false, std::memory_order_release);
        };
        jthread a(add), b(add);
        a.join();
        b.join();
        require(n == 2, "both were inside");
      },
      tso);
  EXPECT_TRUE(v.holds()) << v.message;
}

TEST(explorer, leaks_double_frees_and_uses_after_a_free) {
  EXPECT_EQ(run(
                [] {
                  void* p = operator new(4);
                  asm volatile("" : : "r"(p));
                },
                plain_order)
                .kind,
            failure::leak);
  EXPECT_EQ(run(
                [] {
                  void* p = operator new(4);
                  void* same = p;
                  asm volatile("" : "+r"(same));
                  operator delete(same);
                  operator delete(p);
                },
                plain_order)
                .kind,
            failure::memory);
  EXPECT_EQ(run(
                [] {
                  auto* p = new atomic<int>(1);
                  jthread other([=] { p->load(); });
                  delete p;
                },
                plain_order)
                .kind,
            failure::memory);
  EXPECT_EQ(run(
                [] {
                  volatile int* nowhere = nullptr;
                  asm volatile("" : "+r"(nowhere));
                  *nowhere = 1;
                },
                plain_order)
                .kind,
            failure::memory);
}

TEST(explorer, a_sleeper_nobody_wakes_is_a_deadlock_unless_it_has_a_deadline) {
  auto body = [](bool has_deadline) {
    return [=] {
      atomic<std::uint32_t> word{0};
      futex_wait(word.where(), 0,
                 has_deadline ? now() + std::chrono::seconds(1) : time::max(), {});
    };
  };
  EXPECT_EQ(run(body(false), plain_order).kind, failure::deadlock);
  EXPECT_TRUE(run(body(true), plain_order).holds());
}

TEST(explorer, an_outcome_that_never_happens_is_missed) {
  model m{.name = "test", .summary = "", .body = [] { reached("here"); }};
  m.outcomes = {"here"};
  EXPECT_TRUE(explore(m, plain_order).holds());
  m.outcomes = {"there"};
  EXPECT_EQ(explore(m, plain_order).kind, failure::unreached);
}

TEST(explorer, a_replay_gives_the_same_trace) {
  model m{.name = "test",
          .summary = "",
          .body = dekker(std::memory_order_release, std::memory_order_acquire)};
  auto found = explore(m, tso);
  ASSERT_FALSE(found.holds());
  trace first, second;
  auto again = replay(m, tso, found.replay, &first);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->kind, found.kind);
  EXPECT_EQ(again->replay, found.replay);
  ASSERT_TRUE(replay(m, tso, found.replay, &second));
  ASSERT_EQ(first.steps.size(), second.steps.size());
  for (std::size_t i = 0; i < first.steps.size(); ++i) {
    EXPECT_EQ(first.steps[i].kind, second.steps[i].kind);
    EXPECT_EQ(first.steps[i].before, second.steps[i].before);
  }
  EXPECT_FALSE(replay(m, tso, "nonsense"));
}

TEST(explorer, drawn_executions_find_it_too) {
  model m{.name = "test",
          .summary = "",
          .body = dekker(std::memory_order_release, std::memory_order_acquire)};
  EXPECT_FALSE(explore_random(m, tso, 1, 3, {.executions = 10'000}).holds());
}

// All interleavings of two threads with n steps on one object each: (2n)! / (n! n!), of
// which those that only differ in the order of reads are one.
TEST(explorer, runs_every_interleaving_that_differs_and_no_other) {
  auto count = [](bool writes) {
    auto v = run(
        [=] {
          atomic<int> x{0};
          auto three = [&] {
            for (int i = 0; i < 3; ++i) writes ? void(x.fetch_add(1)) : void(x.load());
          };
          jthread a(three), b(three);
        },
        plain_order, 20);
    EXPECT_TRUE(v.holds() && v.is_complete);
    return v;
  };
  EXPECT_EQ(count(false).executions, 1u);
  EXPECT_GE(count(true).executions, 20u);
}

}  // namespace
}  // namespace duel::explore
