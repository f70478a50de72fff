// policies_test.cpp - what must hold whatever the policy, and what tells them apart.
#include <gtest/gtest.h>

#include "bench/sim/closed_forms.hpp"
#include "bench/sim/testing.hpp"

namespace duel::sim {
namespace {

using testing::open_loop;
using testing::simulate;

constexpr policy_kind all_policies[] = {
    policy_kind::central,     policy_kind::partitioned,   policy_kind::jsq_accept,
    policy_kind::jsq_request, policy_kind::stealing,      policy_kind::stealing_one,
    policy_kind::sharing,     policy_kind::shard_sharing, policy_kind::reserved};

setup with_everything(policy_kind policy) {
  auto s = open_loop(policy, 4, 0.6, "bimodal:0.5,5.5,0.1");
  s.jobs = 3000;
  s.warmup = 500;
  s.connections = 40;
  s.zipf = 0.8;
  s.cost = {.request = 0.1, .steal = 0.05, .wake = 0.02, .probe = 0.01, .hop = 0.03};
  s.remote = 0.3;
  return s;
}

void expect_books_balance(const setup& s, const std::string& what) {
  auto r = engine(s, 0).run();
  EXPECT_EQ(r.arrived, r.completed) << what;
  EXPECT_EQ(r.measured, s.jobs) << what;
  EXPECT_NEAR(r.area / r.response_sum, 1, 1e-9) << what << ": Little's law";
  EXPECT_NEAR(r.busy_sum / (r.demand_sum + r.overhead_sum), 1, 1e-9) << what;
  EXPECT_GE(r.response_sum, r.demand_sum * (1 - 1e-9)) << what;
  EXPECT_LE(r.busiest, r.duration * (1 + 1e-9)) << what << ": more than all its time";
}

TEST(policies, no_job_is_lost_and_no_time) {
  for (auto policy : all_policies) {
    auto s = with_everything(policy);
    std::string name(name_of(policy));
    expect_books_balance(s, name);
    s.is_ordered = false;
    expect_books_balance(s, name + " unordered");
    s.arrivals = arrival_pattern::parse("batch:32").value();
    expect_books_balance(s, name + " in batches");
    s.arrivals = arrival_pattern::parse("onoff", 20, 60).value();
    expect_books_balance(s, name + " on and off");
    s.arrivals = arrival_pattern::parse("uniform").value();
    expect_books_balance(s, name + " evenly");
    s.rate = 0;
    s.think = 2;
    expect_books_balance(s, name + " in the closed loop");
    s.think = 0;
    expect_books_balance(s, name + " without thinking");
  }
}

TEST(policies, stealing_loses_nothing_wherever_requests_come_in) {
  for (auto place : {placement::home, placement::random, placement::shortest,
                     placement::reactor, placement::poller}) {
    for (unsigned cores : {1u, 2u, 3u, 64u}) {
      auto s = with_everything(policy_kind::stealing);
      s.place = place;
      s.cores = cores;
      s.rate = 0.9 * cores / s.mean_demand();
      expect_books_balance(s, std::string(name_of(place)));
      s.cost = {};
      expect_books_balance(s, std::string(name_of(place)) + " for free");
    }
  }
}

TEST(policies, overload_ends) {
  for (auto policy : all_policies) {
    auto s = with_everything(policy);
    s.rate *= 3;
    auto r = engine(s, 0).run();
    EXPECT_EQ(r.arrived, r.completed);
    EXPECT_LT(r.achieved, r.offered);
  }
}

TEST(policies, a_seed_is_a_run) {
  for (auto policy : all_policies) {
    auto s = with_everything(policy);
    auto first = engine(s, 1).run(), again = engine(s, 1).run();
    EXPECT_EQ(first.mean, again.mean);
    EXPECT_EQ(first.events, again.events);
    EXPECT_NE(first.mean, engine(s, 2).run().mean);
    s.seed = 2;
    EXPECT_NE(first.mean, engine(s, 1).run().mean);
  }
}

TEST(policies, all_see_the_same_requests) {
  auto s = open_loop(policy_kind::central, 4, 0.5);
  auto pooled = engine(s, 0).run();
  s.policy = policy_kind::stealing;
  auto stolen = engine(s, 0).run();
  EXPECT_EQ(pooled.offered, stolen.offered);
  // The tail after the last measured request may differ by a few.
  EXPECT_NEAR(pooled.demand_sum, stolen.demand_sum, 0.01 * pooled.demand_sum);
}

// Free stealing keeps every core busy while anything waits: the mean of M/M/k, whatever
// the order.
TEST(policies, free_stealing_has_the_mean_of_a_central_queue) {
  for (auto policy : {policy_kind::stealing, policy_kind::stealing_one}) {
    for (auto place : {placement::home, placement::random, placement::shortest}) {
      auto s = open_loop(policy, 8, 0.8);
      s.place = place;
      auto pooled = s;
      pooled.policy = policy_kind::central;
      double expected = simulate(pooled).mean.value;
      EXPECT_NEAR(simulate(s).mean.value, expected, 0.003 * expected) << name_of(place);
    }
  }
}

TEST(policies, stealing_from_short_queues_nears_the_central_tail) {
  auto s = open_loop(policy_kind::stealing_one, 8, 0.9);
  auto p99 = [&](placement place) {
    s.place = place;
    return simulate(s).quantiles[2].value;
  };
  double best = closed::mmk{8, 0.9}.quantile(0.99);
  double shortest = p99(placement::shortest), home = p99(placement::home);
  EXPECT_LT(shortest, home);
  EXPECT_NEAR(shortest, best, 0.25 * best);
  EXPECT_LT(home, closed::mmk({1, 0.9}).quantile(0.99) / 2);
}

TEST(policies, each_better_placement_shortens_the_tail) {
  auto p99 = [](policy_kind policy) {
    auto s = open_loop(policy, 8, 0.8);
    s.connections = 64;
    return simulate(s).quantiles[2].value;
  };
  double hashed = p99(policy_kind::partitioned), fair = p99(policy_kind::jsq_accept),
         each = p99(policy_kind::jsq_request), central = p99(policy_kind::central);
  EXPECT_LT(fair, hashed);
  EXPECT_LT(each, fair);
  EXPECT_LT(central, each);
}

TEST(policies, costs_of_stealing_are_paid) {
  auto s = open_loop(policy_kind::stealing, 8, 0.5);
  auto free = simulate(s);
  EXPECT_GT(free.steals.value, 0.2);
  EXPECT_EQ(free.overhead.value, 0);
  s.cost.steal = 0.2;
  auto dear = simulate(s);
  EXPECT_NEAR(dear.overhead.value, 0.2 * dear.steals.value, 1e-6);
  EXPECT_GT(dear.mean.value, free.mean.value + 0.05);
  s.cost = {.wake = 0.2};
  auto sleepy = simulate(s);
  EXPECT_NEAR(sleepy.overhead.value, 0.2 * sleepy.wakes.value, 1e-6);
  s.cost = {.probe = 0.2};
  auto searching = simulate(s);
  EXPECT_NEAR(searching.overhead.value, 0.2 * searching.probes.value, 1e-6);
  EXPECT_GT(searching.utilisation.value, 0.6) << "searching keeps cores busy";
}

// A lone request waits for one wake-up; where all are busy there is none.
TEST(policies, an_idle_core_is_woken_once) {
  for (auto policy : {policy_kind::central, policy_kind::partitioned}) {
    auto s = open_loop(policy, 2, 0.001, "det:1");
    s.cost.wake = 0.5;
    auto p = simulate(s, 2);
    EXPECT_NEAR(p.quantiles[0].value, 1.5, 1e-3);
    EXPECT_NEAR(p.wakes.value, 1, 0.01);
  }
}

TEST(policies, a_reserved_core_saves_the_short_from_the_long) {
  auto p90 = [](policy_kind policy) {
    auto s = open_loop(policy, 4, 0.6, "bimodal:0.5,50.5,0.01");
    return simulate(s).quantiles[1].value;
  };
  EXPECT_LT(p90(policy_kind::reserved), 0.8 * p90(policy_kind::central));
}

TEST(policies, a_connection_is_served_in_order) {
  auto s = open_loop(policy_kind::central, 8, 0.6);
  s.connections = 1;
  s.rate = 0.5;
  // One connection is one queue: M/M/1, however many cores.
  double expected = closed::mmk({1, 0.5}).mean();
  EXPECT_NEAR(simulate(s).mean.value, expected, 0.05 * expected);
  s.is_ordered = false;
  EXPECT_NEAR(simulate(s).mean.value, 1, 0.02);
}

TEST(policies, an_elephant_fills_its_shard) {
  auto s = open_loop(policy_kind::jsq_accept, 4, 0.5);
  s.connections = 64;
  auto even = simulate(s).imbalance.value;
  s.zipf = 1.2;
  EXPECT_GT(simulate(s).imbalance.value, even + 0.3);
}

// Timers are run out by hand; whose request is done shows in the sum of response times.
TEST(policies, a_thief_runs_the_youngest_it_stole_first) {
  auto s = open_loop(policy_kind::stealing, 2, 0.5);
  engine e(s, 0);
  auto policy = make_stealing_policy(s, e);
  for (double came : {1, 10, 100, 1000, 10'000}) {
    policy->offer(e.jobs().add({.number = s.jobs + s.warmup,
                                .arrived = -came,
                                .demand = 1,
                                .connection = none,
                                .home = 0,
                                .next = none}));
    if (came == 1) policy->on_timer(0, 0);  // has been woken, and runs it
  }
  policy->on_timer(1, 0);  // has been woken, and takes two of the four
  EXPECT_EQ(e.seen().stolen, 2u);
  policy->on_timer(1, 0);
  EXPECT_EQ(e.seen().response_sum, 100);
  policy->on_timer(1, 0);
  EXPECT_EQ(e.seen().response_sum, 110);
}

// Even streams do not meet: with equal rates the connections come in turn.
TEST(policies, uniform_arrivals_of_a_connection_are_even) {
  auto s = open_loop(policy_kind::jsq_accept, 4, 0.9, "det:1");
  s.connections = 4;  // one a core
  s.arrivals = arrival_pattern::parse("uniform").value();
  EXPECT_NEAR(simulate(s, 2).quantiles[3].value, 1, 1e-9);
  s.zipf = 0.5;
  s.rate /= 2;
  auto uneven = simulate(s);
  EXPECT_NEAR(uneven.achieved.value, s.rate, 0.01 * s.rate);
  EXPECT_GT(uneven.imbalance.value, 1.2);
}

// One worker polls for all; the others sleep beside events that it has not fetched.
TEST(policies, a_poller_that_computes_leaves_others_asleep) {
  auto s = open_loop(policy_kind::stealing, 2, 0.3);
  s.service = testing::service("exp:50us");
  s.rate /= 50;
  double home = simulate(s).mean.value;
  s.place = placement::poller;
  EXPECT_GT(simulate(s).mean.value, 1.1 * home);
}

// What has come to a core that computes can be stolen only after that core has polled.
TEST(policies, events_of_a_core_that_computes_wait_for_it) {
  auto s = open_loop(policy_kind::stealing, 2, 0.5);
  double home = simulate(s).mean.value;
  s.place = placement::reactor;
  double reactor = simulate(s).mean.value;
  s.policy = policy_kind::partitioned;
  EXPECT_GT(reactor, 1.15 * home);
  EXPECT_LT(reactor, 0.95 * simulate(s).mean.value);
}

}  // namespace
}  // namespace duel::sim
