// task_models.cpp - the state word: every pair and triple of what may happen to a task,
// on threads of their own.
//
// What is claimed of each: the task is in a queue at most once and runs at most once at a
// time; a condition that was written before a wake is seen by the body; task, result and
// join waker are dropped once; nothing is left.
#include <algorithm>

#include "runtimes/explore/models.hpp"
#include "runtimes/explore/models/task_world.hpp"

namespace duel::models {

namespace {

enum class op {
  run,
  wake_by_value,
  wake_by_ref,
  cancel,
  join,
  drop_handle,
  drop_waker,
  stop
};
constexpr std::array all_ops{op::run,  op::wake_by_value, op::wake_by_ref, op::cancel,
                             op::join, op::drop_handle,   op::drop_waker,  op::stop};

// How far the task is when they begin.
enum class phase {
  brief,      // in its queue; its body waits for nothing
  queued,     // in its queue, to wait
  suspended,  // it waits
};

bool uses_handle(op o) {
  return o == op::join || o == op::drop_handle;
}
bool sets_condition(op o) {
  return o == op::wake_by_value || o == op::wake_by_ref;
}
bool ends_wait(op o) {
  return sets_condition(o) || o == op::cancel || o == op::stop;
}
bool needs_waker(op o) {
  return sets_condition(o) || o == op::cancel || o == op::drop_waker;
}

void at_once(std::span<const op> ops, phase from) {
  constexpr unsigned subject = 0, joiner = 1;
  tally counts, counts_of_joiner;
  task_world world;
  // relaxed: that a wake follows is what makes it visible
  std::array<sync::atomic<bool>, 4> conditions{};
  auto set = [&](std::size_t i) { conditions[i].store(true, std::memory_order_relaxed); };
  bool nobody_wakes = std::ranges::none_of(ops, ends_wait);
  auto last = ops.size();  // the condition of the model's own thread
  auto is_met = [&] {
    if (nobody_wakes)  // relaxed: as above
      return conditions[last].load(std::memory_order_relaxed);
    for (std::size_t i = 0; i < ops.size(); ++i) {
      // relaxed: as above
      if (sets_condition(ops[i]) && !conditions[i].load(std::memory_order_relaxed))
        return false;
    }
    return std::ranges::any_of(ops, sets_condition);
  };
  counted_task& t = world.start(counts, [&] {
    task& self = *current_task();
    while (from != phase::brief) {
      if (is_cancelled(self)) return reached("ended by a cancellation");
      if (is_met()) return reached("ended by its condition");
      counts.runs = counts.runs + 1;
      suspend(suspend_reason::event);
    }
  });
  std::optional<join_handle<token>> handle(t);
  std::array<waker, 4> wakers;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (needs_waker(ops[i])) wakers[i] = waker::of(t);
  }
  if (nobody_wakes && from != phase::brief) wakers[last] = waker::of(t);
  if (from == phase::suspended) world.run_one(subject);
  if (std::ranges::find(ops, op::join) != ops.end()) {
    join_handle<token>(world.start(counts_of_joiner, [&] {
      (void)handle->join();
    })).detach();
  }

  std::array<sync::jthread, 3> threads, joining;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    auto act = [&, i] {
      switch (ops[i]) {
        case op::run:
          if (world.run_one(subject)) world.run_one(subject);
          break;
        case op::wake_by_value:
          set(i);
          std::move(wakers[i]).wake();
          break;
        case op::wake_by_ref:
          set(i);
          wakers[i].wake_by_ref();
          break;
        case op::cancel:
          world.cancel(t);
          break;
        case op::join:
          world.run_to_end(joiner);
          break;
        case op::drop_handle:
          handle.reset();
          break;
        case op::drop_waker:
          wakers[i].reset();
          break;
        case op::stop:
          world.stop(stop_mode::drain);
          break;
      }
    };
    (ops[i] == op::join ? joining : threads)[i] = sync::jthread(act);
  }
  for (auto& each : threads) {
    if (each.joinable()) each.join();
  }
  if (wakers[last]) {
    set(last);
    std::move(wakers[last]).wake();
  }
  while (world.run_one(subject)) {
  }
  require(world.has_ended(subject), "no wake is lost");
  for (auto& each : joining) {
    if (each.joinable()) each.join();
  }
  handle.reset();
  for (auto& each : wakers) each.reset();
  require(counts.runs <= 1 + static_cast<int>(ops.size()), "it runs when it is woken");
  require(counts.made == 1 && counts.dropped == 1, "a result is dropped once");
  require(counts.freed == 1, "a task is freed once");
}

// One of all sets of `size` operations that begin with `first`; at most one of them has
// the handle.
std::vector<op> any_set(op first, unsigned size) {
  std::vector<op> set{first};
  while (set.size() < size) {
    std::vector<op> next;
    bool handle_is_used = std::ranges::any_of(set, uses_handle);
    for (op o : all_ops) {
      if (o >= set.back() && !(handle_is_used && uses_handle(o))) next.push_back(o);
    }
    set.push_back(next[any_of(static_cast<unsigned>(next.size()))]);
  }
  return set;
}

void any_at_once(op first, unsigned size) {
  auto ops = any_set(first, size);
  at_once(ops, static_cast<phase>(any_of(3)));
}

}  // namespace

}  // namespace duel::models

namespace duel::explore {

using namespace duel::models;

void add_join_models(std::vector<model>& to);
void add_blocking_models(std::vector<model>& to);
void add_channel_models(std::vector<model>& to);

void add_task_models(std::vector<model>& to) {
  using enum memory_model;
  const std::vector<const char*> neither;
  const std::vector either{"ended by its condition", "ended by a cancellation"};
  struct group {
    op first;
    const char *pairs, *triples;
    std::vector<const char*> outcomes;
  };
  const group groups[]{
      {op::run, "task/run_and_one", "task/run_and_two", either},
      {op::wake_by_value, "task/wake_and_one", "task/wake_and_two", either},
      {op::wake_by_ref, "task/wake_by_ref_and_one", "task/wake_by_ref_and_two", either},
      {op::cancel, "task/cancel_and_one", "task/cancel_and_two", neither},
      {op::join, "task/join_and_one", "task/join_and_two", either},
      {op::drop_handle, "task/drop_handle_and_one", "task/drop_handle_and_two", either},
      {op::drop_waker, "task/drop_waker_and_one", "task/drop_waker_and_two", either},
      {op::stop, "task/stop_and_one", "task/stop_and_two", neither},
  };
  for (const auto& each : groups) {
    to.push_back({.name = each.pairs,
                  .summary = "a task survives each pair of operations at once",
                  .body = [first = each.first] { any_at_once(first, 2); },
                  .outcomes = each.outcomes});
    // Many, and made of RMWs, which no store buffer delays: TSO would show what the pairs
    // have shown.
    to.push_back({.name = each.triples,
                  .summary = "a task survives each triple of operations at once",
                  .body = [first = each.first] { any_at_once(first, 3); },
                  .memories = {interleaving, weak},
                  .bound = 2,
                  .outcomes = each.outcomes});
  }
  add_join_models(to);
  add_blocking_models(to);
  add_channel_models(to);
}

}  // namespace duel::explore
