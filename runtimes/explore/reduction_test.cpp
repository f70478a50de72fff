// The reduction loses nothing: small drawn programs reach the same ends with it as by
// trying every alternative, for every bound and in every memory model.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "runtimes/core/futex.hpp"
#include "runtimes/core/sync.hpp"
#include "runtimes/explore/explorer.hpp"

namespace duel::explore {
namespace {

enum class action { load, store, store_relaxed, add, swap, lock, try_lock, sleep, wake };

struct instruction {
  action what;
  unsigned object;
};
using program = std::vector<std::vector<instruction>>;  // [thread][step]

// What each thread has read, in order, and what is left in memory.
using ending = std::vector<std::uint32_t>;

program draw(std::uint32_t seed, unsigned threads, unsigned steps, unsigned kinds) {
  std::mt19937 random(seed);
  program p(threads);
  for (auto& thread : p) {
    for (unsigned i = 0; i < steps; ++i) {
      thread.push_back(
          {static_cast<action>(random() % kinds), static_cast<unsigned>(random() % 2)});
    }
  }
  return p;
}

ending execute(const program& p) {
  sync::atomic<std::uint32_t> objects[2]{0, 0};
  sync::mutex locks[2];
  std::vector<ending> seen(p.size());
  std::vector<sync::jthread> threads;
  for (unsigned t = 0; t < p.size(); ++t) {
    threads.emplace_back([&, t] {
      for (auto [what, n] : p[t]) {
        auto& object = objects[n];
        switch (what) {
          case action::load:
            seen[t].push_back(object.load(std::memory_order_acquire));
            break;
          case action::store:
            object.store(t + 1, std::memory_order_seq_cst);
            break;
          case action::store_relaxed:
            object.store(t + 11, std::memory_order_relaxed);
            break;
          case action::add:
            seen[t].push_back(object.fetch_add(1, std::memory_order_acq_rel));
            break;
          case action::swap: {
            std::uint32_t expected = 0;
            object.compare_exchange_strong(expected, t + 21);
            seen[t].push_back(expected);
            break;
          }
          case action::lock: {
            std::lock_guard lock(locks[n]);
            seen[t].push_back(object.load(std::memory_order_relaxed));
            break;
          }
          case action::try_lock:
            seen[t].push_back(locks[n].try_lock());
            if (seen[t].back()) locks[n].unlock();
            break;
          case action::sleep:
            futex_wait(object, 0, now() + std::chrono::seconds(1));
            break;
          case action::wake:
            futex_wake_one(object);
            break;
        }
      }
    });
  }
  threads.clear();
  ending all{objects[0].load(), objects[1].load()};
  for (auto& each : seen) {
    all.push_back(~0u);
    all.insert(all.end(), each.begin(), each.end());
  }
  return all;
}

struct exploration {
  std::set<ending> endings;
  std::uint64_t executions;
};

exploration explore_all(const program& p, memory_model memory, unsigned bound,
                        bool reduced) {
  exploration out;
  model m{.name = "drawn", .summary = "", .body = [&] {
            ending e = execute(p);
            untracked_scope own;
            out.endings.insert(ending(e.begin(), e.end()));
          }};
  m.bound = bound;
  verdict v = explore(m, memory, {.reduced = reduced});
  EXPECT_TRUE(v.holds()) << v.message;
  out.executions = v.executions;
  return out;
}

std::string text(const program& p) {
  std::string out;
  for (auto& thread : p) {
    for (auto [what, n] : thread) {
      out += std::to_string(static_cast<int>(what)) + "/" + std::to_string(n) + " ";
    }
    out += "| ";
  }
  return out;
}

constexpr unsigned unbounded = 9;

void compare(unsigned programs, unsigned threads, unsigned steps, unsigned kinds,
             std::initializer_list<unsigned> bounds) {
  std::uint64_t reduced_total = 0, full_total = 0;
  for (unsigned seed = 0; seed < programs; ++seed) {
    auto p = draw(seed, threads, steps, kinds);
    for (auto memory :
         {memory_model::interleaving, memory_model::tso, memory_model::weak}) {
      for (unsigned bound : bounds) {
        auto reduced = explore_all(p, memory, bound, true);
        auto full = explore_all(p, memory, bound, false);
        ASSERT_EQ(reduced.endings, full.endings)
            << name_of(memory) << ", bound " << bound << ": " << text(p);
        ASSERT_LE(reduced.executions, full.executions);
        reduced_total += reduced.executions;
        full_total += full.executions;
      }
    }
  }
  EXPECT_LT(reduced_total, full_total / 2) << "it saves something";
}

TEST(reduction, loses_no_ending_of_two_threads_with_atomics) {
  compare(30, 2, 3, 5, {0, 1, 2, unbounded});
}
TEST(reduction, loses_no_ending_of_three_threads_with_atomics) {
  compare(60, 3, 3, 5, {0, 1, 2});
}
TEST(reduction, loses_no_ending_with_locks_and_futexes) {
  compare(40, 2, 2, 9, {0, 1, 2, unbounded});
  compare(60, 3, 2, 9, {0, 1, 2});
}

}  // namespace
}  // namespace duel::explore
