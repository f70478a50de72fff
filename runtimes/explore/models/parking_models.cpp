// parking_models.cpp - who sleeps and who wakes among the workers of the stealing model:
// parking, run queues, inject queue and parkers as the scheduler puts them together,
// without tasks that run.
//
// Everybody sleeps on a futex and only the end of all work ends a worker, so a wake-up
// that is lost is a deadlock.
#include <functional>
#include <vector>

#include "runtimes/explore/models/parts.hpp"
#include "runtimes/explore/models/tokens.hpp"
#include "runtimes/stealing/inject_queue.hpp"
#include "runtimes/stealing/parker.hpp"
#include "runtimes/stealing/parking.hpp"
#include "runtimes/stealing/run_queue.hpp"

namespace duel::explore {

namespace {

using stealing::inject_queue, stealing::parker, stealing::parking, stealing::run_queue,
    stealing::task_chain;

// The workers, and how much there is to do until they end.
struct pool {
  pool(unsigned workers, unsigned tasks) : idle(workers), left(tasks), at(workers) {}

  // --- as in scheduler.cpp ---
  void wake_one() {
    if (auto sleeper = idle.wake_one()) (void)at[*sleeper].sleeper.unpark();
  }
  void wake_one_if_work() {
    bool work = !injected.empty();
    for (auto& each : at) work = work || !each.queue.empty();
    if (work) wake_one();
  }
  void push_from_outside(token& t) {
    injected.push(task_chain::of(queued(t)));  // (P1)
    wake_one();
  }
  void push(unsigned worker, token& t) {
    require(at[worker].queue.push(queued(t)).empty(), "it fits");
    wake_one();
  }

  // --- as in worker.cpp ---
  void work(unsigned me) {
    while (!is_over.load()) {
      task* t = next(me);
      t ? run(me, *t) : park(me);
    }
  }
  task* next(unsigned me) {
    if (task* t = at[me].queue.pop()) return t;
    if (task* t = injected.pop(1).pop()) return t;
    if (!at[me].searching && !idle.to_searching()) return nullptr;
    at[me].searching = true;
    for (unsigned victim = 0; victim < at.size(); ++victim) {
      if (victim == me) continue;
      if (auto got = at[victim].queue.steal_into(at[me].queue); got.first) {
        return got.first;
      }
    }
    return injected.pop(1).pop();
  }
  void run(unsigned me, task& t) {
    if (std::exchange(at[me].searching, false) && idle.to_working()) wake_one();
    took(&t);
    if (body) body(me, static_cast<token&>(t));
    if (left.fetch_sub(1) == 1) finish();
  }
  void park(unsigned me) {
    auto parked = idle.to_parked(me, std::exchange(at[me].searching, false));
    if (parked.nobody_searches) wake_one_if_work();  // (W2)
    while (!is_over.load()) {
      at[me].sleeper.park();
      auto kind = idle.to_unparked(me, /*has_work=*/false);
      if (kind == parking::wake_kind::stay_parked) continue;
      at[me].searching = true;
      return;
    }
  }
  void finish() {
    is_over.store(true);
    for (auto& each : at) (void)each.sleeper.unpark();
  }

  struct place {
    run_queue queue;
    parker sleeper;
    bool searching = false;
  };
  parking idle;
  inject_queue injected;
  sync::atomic<unsigned> left;
  sync::atomic<bool> is_over{false};
  std::vector<place> at;
  std::function<void(unsigned, token&)> body;
};

// A worker pushes into its own queue and does something else while the other one, which
// has found nothing, goes to sleep. The push is a plain store: only the read-modify-write
// behind it keeps it from being seen too late (tokio#1788).
void push_beside_sleep() {
  token task;
  pool p(2, 1);
  sync::jthread other([&] { p.work(1); });
  p.push(0, task);
  other.join();
}

// The same from a thread that is no worker.
void push_from_outside() {
  token task;
  pool p(1, 1);
  sync::jthread worker([&] { p.work(0); });
  p.push_from_outside(task);
  worker.join();
}

void pushes_from_outside() {
  std::array<token, 2> tasks;
  pool p(2, 2);
  sync::jthread one([&] { p.work(0); }), two([&] { p.work(1); });
  for (auto& t : tasks) p.push_from_outside(t);
  one.join();
  two.join();
  require_all_taken(tasks);
}

// Of two tasks the first waits for the second: whoever finds the first must see to it
// that somebody finds the second.
struct waiting_pair {
  explicit waiting_pair(pool& p) {
    p.body = [this](unsigned, token& t) {
      if (&t == &tasks[1]) {
        is_second_done.store(true);
        (void)waits.unpark();
      } else {
        while (!is_second_done.load()) waits.park();
      }
    };
  }
  ~waiting_pair() { require_all_taken(tasks); }
  std::array<token, 2> tasks;
  parker waits;
  sync::atomic<bool> is_second_done{false};
};

// From a worker that is busy with something else.
void chain_of_wake_ups() {
  pool p(3, 2);
  waiting_pair pair(p);
  sync::jthread one([&] { p.work(1); }), two([&] { p.work(2); });
  for (auto& t : pair.tasks) p.push(0, t);
}

// From outside, to two workers of which one may search: the one that may not goes to
// sleep without having looked everywhere.
void refused_searcher() {
  pool p(2, 2);
  waiting_pair pair(p);
  sync::jthread one([&] { p.work(0); }), two([&] { p.work(1); });
  for (auto& t : pair.tasks) p.push_from_outside(t);
}

// --- the idle word alone ---------------------------------------------------------------

// Two producers, two sleepers: the first that is woken searches, and is enough.
void one_is_woken() {
  parking idle(2);
  for (unsigned i : {0u, 1u}) (void)idle.to_parked(i, false);
  bool mine = false, others = false;
  sync::jthread other([&] { others = idle.wake_one().has_value(); });
  mine = idle.wake_one().has_value();
  other.join();
  require(mine != others, "one is woken at a time");
  require(idle.searching() == 1 && idle.unparked() == 1, "and counted once");
}

// Events give a sleeper work of its own as somebody wakes it.
void out_by_itself() {
  parking idle(1);
  (void)idle.to_parked(0, false);
  bool chosen = false;
  sync::jthread producer([&] { chosen = idle.wake_one().has_value(); });
  auto kind = idle.to_unparked(0, /*has_work=*/true);
  if (kind == parking::wake_kind::woken) {
    reached("woken");
    require(idle.searching() == 1, "who is woken counts as searching");
    require(idle.to_working(), "it was the last searcher");
  } else {
    reached("by itself");
    require(kind == parking::wake_kind::unparked_by_itself, "it has work");
  }
  producer.join();
  require(chosen == (kind == parking::wake_kind::woken), "both say the same");
  require(idle.unparked() == 1 && idle.searching() == 0, "counted once");
}

// At most half of the workers search, and the last that stops says so.
void searchers() {
  parking idle(2);
  unsigned searched = 0, last = 0;
  auto search = [&] {
    if (!idle.to_searching()) return;
    ++searched;
    if (idle.to_working()) ++last;
  };
  sync::jthread other(search);
  search();
  other.join();
  require(searched > 0 && last > 0, "one searches, and one was the last");
  require(last <= searched && idle.searching() == 0, "all have stopped");
  if (searched == 1) reached("one was refused");
}

// What a sleeper is told is there when it comes out of its sleep.
void told_before_it_leaves() {
  parking idle(1);
  sync::plain<bool> told{false};
  (void)idle.to_parked(0, false);
  sync::jthread worker([&] {
    auto kind = idle.to_unparked(0, /*has_work=*/true);
    require(kind == parking::wake_kind::unparked_by_itself, "nobody wakes it");
    told ? reached("told") : reached("gone");
  });
  auto picked = idle.pick_sleeper([&](unsigned) { told = true; });
  if (picked) require(*picked == 0, "the one that sleeps");
  worker.join();
}

// Who parks last asks whether there is a task left: here there is one, although the parts
// of the count, read one after the other, may add up to none.
void is_it_over() {
  parking idle(3);
  std::array<sync::atomic<int>, 3> live{0, 0, 1};
  for (unsigned i : {0u, 1u}) (void)idle.to_parked(i, false);
  auto parked = idle.to_parked(2, false);
  require(parked.nobody_unparked, "all sleep");
  sync::jthread asks([&] {
    int sum = 0;
    // relaxed: as the workers' own counts
    for (auto& each : live) sum += each.load(std::memory_order_relaxed);
    if (sum == 0) reached("a wrong sum");
    bool is_over = sum == 0 && idle.still_nobody_unparked(parked.epoch);
    require(!is_over, "a task is left");
  });
  // Worker 0 is woken for the task, which spawns another one; worker 1 runs that; both
  // sleep again.
  (void)idle.to_unparked(0, true);
  live[0].store(1, std::memory_order_relaxed);  // relaxed: owner only
  {
    sync::jthread worker([&] {
      (void)idle.to_unparked(1, true);
      live[1].store(-1, std::memory_order_relaxed);  // relaxed: owner only
      (void)idle.to_parked(1, false);
    });
  }
  (void)idle.to_parked(0, false);
}

// The last task ends: exactly then one of those who park sees that all is over.
void it_is_over() {
  parking idle(2);
  std::array<sync::atomic<int>, 2> live{1, 0};
  unsigned over = 0;
  auto park = [&](unsigned me, int spawned) {
    // relaxed: owner only
    live[me].store(live[me].load(std::memory_order_relaxed) + spawned,
                   std::memory_order_relaxed);
    auto parked = idle.to_parked(me, false);
    if (!parked.nobody_unparked) return;
    int sum = 0;
    // relaxed: as the workers' own counts
    for (auto& each : live) sum += each.load(std::memory_order_relaxed);
    if (sum == 0 && idle.still_nobody_unparked(parked.epoch)) ++over;
  };
  sync::jthread other([&] { park(1, -1); });
  park(0, 0);
  other.join();
  require(over == 1, "the last one that parks sees the end");
}

}  // namespace

void add_parking_models(std::vector<model>& to) {
  to.push_back(
      {.name = "parking/push_beside_sleep",
       .summary = "a push into a worker's own queue wakes who just went to sleep",
       .body = &push_beside_sleep});
  to.push_back({.name = "parking/push_from_outside",
                .summary = "a push into the inject queue wakes the only worker",
                .body = &push_from_outside});
  to.push_back({.name = "parking/pushes_from_outside",
                .summary = "two pushes are run by two workers that sleep in between",
                .body = &pushes_from_outside,
                .bound = 2});
  to.push_back({.name = "parking/chain_of_wake_ups",
                .summary = "the last searcher that finds work wakes the next",
                .body = &chain_of_wake_ups,
                .bound = 2});
  to.push_back({.name = "parking/refused_searcher",
                .summary = "who may not search does not go to sleep beside a task",
                .body = &refused_searcher,
                .bound = 2});
  to.push_back({.name = "parking/one_is_woken",
                .summary = "two producers wake one sleeper, for it searches",
                .body = &one_is_woken});
  to.push_back({.name = "parking/out_by_itself",
                .summary = "a sleeper with work of its own is woken or is not, once",
                .body = &out_by_itself,
                .outcomes = {"woken", "by itself"}});
  to.push_back({.name = "parking/searchers",
                .summary = "searchers are counted, and the last one knows",
                .body = &searchers,
                .outcomes = {"one was refused"}});
  to.push_back({.name = "parking/told_before_it_leaves",
                .summary = "what a sleeper is told is there when it leaves its sleep",
                .body = &told_before_it_leaves,
                .outcomes = {"told", "gone"}});
  to.push_back({.name = "parking/is_it_over",
                .summary = "a count read while workers come and go ends nothing",
                .body = &is_it_over,
                .outcomes = {"a wrong sum"}});
  to.push_back({.name = "parking/it_is_over",
                .summary = "the last worker that parks sees that no task is left",
                .body = &it_is_over});
  add_parker_models(to);
  add_waiting_models(to);
  add_deadline_models(to);
}

}  // namespace duel::explore
