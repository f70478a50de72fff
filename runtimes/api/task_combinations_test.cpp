// task_combinations_test.cpp - every order in which a task, its handle, its wakers and a
// cancellation can come and go, under every model (the idea is Tokio's, of
// task_combinations.rs).
//
// One run goes through all combinations with several spawners at once. Each checks what
// its task leaves: result or exception as predicted, every object destroyed once. The
// fixture then finds no task and no stack left.
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "runtimes/api/model_test.hpp"
#include "runtimes/api/task.hpp"
#include "runtimes/api/test_combination.hpp"

namespace duel {
namespace {

using namespace std::chrono_literals;

// Set once. A task that waits for it parks for real: one that looked again and again
// would not miss a wake that is lost.
class event {
 public:
  void set() {
    waker waiting;
    {
      std::lock_guard lock(mutex_);
      is_set_ = true;
      waiting = std::move(waiter_);
      changed_.notify_all();
    }
    std::move(waiting).wake();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    if (!current_task()) return changed_.wait(lock, [this] { return is_set_; });
    while (!is_set_) {
      waiter_ = waker::of(*current_task());
      lock.unlock();
      suspend(suspend_reason::event);
      lock.lock();
    }
  }

 private:
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  bool is_set_ = false;
  waker waiter_;
};

// A thread of no scheduler, which does what it is told, in turn. A wake from it may be
// what ends a run and still be under way, so a run waits until it is done.
class foreign_thread {
 public:
  ~foreign_thread() {
    tell([this] { ends_ = true; });
  }
  void tell(std::function<void()> what) {
    std::lock_guard lock(mutex_);
    told_.push_back(std::move(what));
    changed_.notify_one();
  }
  [[nodiscard]] bool is_busy() {
    std::lock_guard lock(mutex_);
    return is_busy_ || !told_.empty();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (!ends_) {
      is_busy_ = false;
      changed_.wait(lock, [this] { return !told_.empty(); });
      auto what = std::move(told_.front());
      told_.pop_front();
      is_busy_ = true;
      lock.unlock();
      what();
      what = {};
      lock.lock();
    }
  }
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<std::function<void()>> told_;
  bool is_busy_ = false;
  bool ends_ = false;  // its own thread only
  std::jthread thread_{[this] { run(); }};
};

// Counts its end once, however often it is moved.
class witness {
 public:
  witness(std::atomic<int>& ends, bool waits = false, event* ended = nullptr) noexcept
      : ends_(&ends), waits_(waits), ended_(ended) {}
  witness(witness&& other) noexcept
      : ends_(std::exchange(other.ends_, nullptr)),
        waits_(other.waits_),
        ended_(other.ended_) {}
  ~witness() {
    if (!ends_) return;
    for (int i = 0; waits_ && i < 2; ++i) yield();
    ++*ends_;
    if (ended_) ended_->set();
  }

 private:
  std::atomic<int>* ends_;
  bool waits_;
  event* ended_;
};

struct outcome {
  witness destroyed;
  int passed;  // waits that a wake ended
};

// One combination, with what its parties share. Lives as long as the run.
struct trial {
  explicit trial(const combination& c) : chosen(c) {}

  // --- the task ------------------------------------------------------------------------
  outcome body() {
    int passed = 0;
    for (; passed < chosen.waits && wait_for_wake(passed); ++passed) {
    }
    outcome result{{results, chosen.drops == dropping::waits, &result_gone}, passed};
    if (chosen.ends == ending::exception) throw result;
    return result;
  }
  bool wait_for_wake(int i) {
    while (!is_woken[i]) {
      if (is_cancelled()) return false;
      suspend(suspend_reason::event, [this, i](waker w) {
        {
          std::lock_guard lock(mutex);
          self = &task_of(w);
          wakers[i] = std::move(w);
        }
        suspended[i].set();
      });
    }
    return true;
  }
  static task& task_of(waker& w) {
    task& t = *w.release();
    w = waker::adopt(t);
    return t;
  }

  // --- whoever acts --------------------------------------------------------------------
  // A waker keeps the task alive meanwhile.
  void cancel_by_waker() { self->owner.cancel(*self); }

  void cancel_and_wake() {
    bool cancels = chosen.cancels == cancelling::suspended;
    if (cancels) {
      suspended[0].wait();
      cancel_by_waker();
    }
    if (cancels) return wake(0, /*is_last=*/true);
    for (int i = 0; i < chosen.passed(); ++i) {
      suspended[i].wait();
      wake(i, i + 1 == chosen.waits);
    }
  }
  void wake(int i, bool is_last) {
    waker w;
    {
      std::lock_guard lock(mutex);
      w = std::move(wakers[i]);
    }
    bool stays = is_last && chosen.last == last_waker::stays;
    is_woken[i] = i < chosen.passed();  // else the wake tells the task nothing
    switch (chosen.wakes) {
      case waking::by_value:
        if (stays) kept = w.clone();
        return std::move(w).wake();
      case waking::by_reference:
        w.wake_by_ref();
        break;
      case waking::by_clone:
        w.clone().wake();
        break;
    }
    if (stays) kept = std::move(w);
  }

  // --- what is left --------------------------------------------------------------------
  [[nodiscard]] std::string broken(int joined) const {
    std::string text;
    auto expect = [&text](const char* what, int is, int wanted) {
      if (is == wanted) return;
      text += "\n  " + std::string(what) + ": " + std::to_string(is) + ", not " +
              std::to_string(wanted);
    };
    bool is_joined =
        chosen.handle == handle_use::join || chosen.handle == handle_use::join_elsewhere;
    int passed = chosen.passed() + (chosen.ends == ending::exception ? 100 : 0);
    expect("joined", joined, is_joined ? passed : -1);
    expect("results destroyed", results, 1);
    expect("bodies destroyed", bodies, 1);
    return text.empty() ? "" : chosen.description() + text;
  }

  const combination chosen;
  std::atomic<bool> is_under_way{false};
  std::atomic<int> results{0}, bodies{0};  // destroyed; an exception is a result
  std::atomic<bool> is_woken[2]{};
  event suspended[2], body_gone, result_gone;
  std::mutex mutex;  // guards wakers, self
  waker wakers[2];
  task* self = nullptr;
  waker kept;  // the last one, if it stays
};

// What joining told: how many waits were passed, and 100 more for an exception.
int join_told(join_handle<outcome>& handle) {
  try {
    return handle.join().passed;
  } catch (outcome& thrown) {
    return 100 + thrown.passed;
  }
}

// The spawner: does to one task what the trial says.
class spawner {
 public:
  explicit spawner(foreign_thread& t) noexcept : thread_(t) {}

  std::string run(trial& t) const {
    const combination& c = t.chosen;
    auto handle = spawn([&t, body = witness(t.bodies, false, &t.body_gone)] {
      return t.body();  //
    });
    if (c.cancels == cancelling::at_once) act(c.acts, [&] { handle.cancel(); });
    if (c.handle == handle_use::detach_at_once) handle.detach();
    if (c.handle == handle_use::detach_suspended) {
      if (c.cancels != cancelling::at_once) t.suspended[0].wait();
      handle.detach();
    }
    event acted;
    start(
        c.acts, [&] { t.cancel_and_wake(); }, acted);
    if (c.cancels == cancelling::finished) {
      acted.wait();
      t.body_gone.wait();
      if (c.is_detached_early()) {
        while (!t.self->state.is_complete()) yield();
        act(c.acts, [&] { t.cancel_by_waker(); });
      } else {
        while (!handle.is_done()) yield();
        act(c.acts, [&] { handle.cancel(); });
      }
    }
    int joined = use(std::move(handle), t);
    acted.wait();
    t.result_gone.wait();
    act(c.acts, [&] {
      std::lock_guard lock(t.mutex);
      t.wakers[0].reset();  // of a task cancelled before anybody woke it
      std::move(t.kept).wake();
    });
    return t.broken(joined);
  }

 private:
  int use(join_handle<outcome> handle, trial& t) const {
    switch (t.chosen.handle) {
      case handle_use::join:
        return join_told(handle);
      case handle_use::join_elsewhere:
        return spawn([h = std::move(handle)]() mutable { return join_told(h); }).join();
      case handle_use::detach_at_once:
      case handle_use::detach_suspended:
        return -1;
      case handle_use::detach_finished:
        while (!handle.is_done()) yield();
        handle.detach();
        return -1;
      case handle_use::drop_finished:
        t.body_gone.wait();
        while (!handle.is_done()) yield();
        return -1;
    }
    return -1;
  }

  void start(actor who, std::function<void()> what, event& done) const {
    auto all = [what = std::move(what), &done] {
      what();
      done.set();
    };
    if (who == actor::spawner) return all();
    if (who == actor::thread) return thread_.tell(all);
    spawn(all).detach();
  }
  void act(actor who, std::function<void()> what) const {
    event done;
    start(who, std::move(what), done);
    done.wait();
  }

  foreign_thread& thread_;
};

// Ends a test that hangs, and says at which combinations.
class watchdog {
 public:
  explicit watchdog(const std::deque<trial>& all) : all_(all) {}

 private:
  void watch(std::stop_token over) {
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable_any never;
    never.wait_for(lock, over, 100s, [] { return false; });
    if (over.stop_requested()) return;
    for (auto& each : all_) {
      if (!each.is_under_way) continue;
      std::fprintf(stderr, "hangs: %s\n", each.chosen.description().c_str());
    }
    std::abort();
  }
  const std::deque<trial>& all_;
  std::jthread thread_{[this](std::stop_token over) { watch(over); }};
};

class task_combinations : public model_test {};

TEST_P(task_combinations, each_leaves_what_it_should_and_nothing_else) {
  foreign_thread outside;
  std::deque<trial> trials;
  bool runs_inline = GetParam().model == "serial";
  auto all = all_combinations(GetParam().model == "sharded", runs_inline ? 0 : 2);
  EXPECT_GT(all.size(), runs_inline ? 100u : 2'000u);
  // A fiber is dear under ThreadSanitizer: there each model has a fifth of them, not all
  // the same. 5 divides no axis, so every value of each is among them.
  const std::size_t stride = under_tsan ? 5 : 1;
  auto name = testing::UnitTest::GetInstance()->current_test_info()->name();
  for (auto i = std::hash<std::string>()(name) % stride; i < all.size(); i += stride) {
    trials.emplace_back(all[i]);
  }
  watchdog watching(trials);

  std::mutex mutex;
  std::vector<std::string> broken;
  std::atomic<std::size_t> next{0};
  auto go_through_them = [&] {
    for (std::size_t n; (n = next++) < trials.size();) {
      trials[n].is_under_way = true;
      auto found = spawner(outside).run(trials[n]);
      trials[n].is_under_way = false;
      std::lock_guard lock(mutex);
      if (!found.empty()) broken.push_back(found);
    }
  };
  run([&] {
    const unsigned spawners = runs_inline ? 1 : 8;
    std::atomic<unsigned> left{spawners};
    event all_done;
    for (unsigned i = 0; i < spawners; ++i) {
      spawn_at(i % current_task()->owner.homes(), [&] {
        go_through_them();
        if (--left == 0) all_done.set();
      });
    }
    all_done.wait();
    while (outside.is_busy()) yield();
  });
  for (auto& each : broken) ADD_FAILURE() << each;
}

INSTANTIATE_TEST_SUITE_P(models, task_combinations, testing::ValuesIn(all_models()),
                         model_name);
INSTANTIATE_TEST_SUITE_P(switches, task_combinations,
                         testing::ValuesIn(stealing_variants()), model_name);

}  // namespace
}  // namespace duel
