// example_models.cpp - programs that are wrong on purpose: what each kind of failure
// looks like. Explored only by name.
#include "runtimes/core/sync.hpp"
#include "runtimes/explore/models.hpp"

namespace duel::explore {

namespace {

// Each announces itself, then looks for the other: with store buffers both may miss.
void store_buffering() {
  sync::atomic<int> a_is_here{0}, b_is_here{0};
  bool a_saw_b = false, b_saw_a = false;
  sync::jthread a([&] {
    a_is_here.store(1, std::memory_order_release);             // relaxed: the defect
    a_saw_b = b_is_here.load(std::memory_order_acquire) == 1;  // acquire: no help
  });
  sync::jthread b([&] {
    b_is_here.store(1, std::memory_order_release);             // relaxed: the defect
    b_saw_a = a_is_here.load(std::memory_order_acquire) == 1;  // acquire: no help
  });
  a.join();
  b.join();
  require(a_saw_b || b_saw_a, "one sees the other");
}

void data_race() {
  sync::atomic<bool> ready{false};
  sync::plain<int> message{0};
  sync::jthread sender([&] {
    message = 42;
    ready.store(true, std::memory_order_relaxed);  // relaxed: the defect
  });
  while (!ready.load(std::memory_order_acquire)) {  // acquire: but nobody releases
    sync::yield_thread();
  }
  require(message == 42, "the message arrives");
}

void deadlock() {
  sync::mutex left, right;
  sync::jthread other([&] {
    right.lock();
    left.lock();
    left.unlock();
    right.unlock();
  });
  left.lock();
  right.lock();
  right.unlock();
  left.unlock();
}

void lost_wake_up() {
  sync::atomic<std::uint32_t> word{0};
  sync::jthread waker([&] { futex_wake(word.where(), 1, site::current()); });
  futex_wait(word.where(), 0, time::max(), site::current());
}

void livelock() {
  sync::atomic<bool> is_set{false};
  while (!is_set.load()) sync::yield_thread();
}

void leak() {
  sync::atomic<int*> place{nullptr};
  sync::jthread other([&] { place.store(new int(1)); });
  delete place.exchange(nullptr);
}

void double_free() {
  sync::atomic<int> owners{2};
  auto* shared = new int(1);
  auto let_go = [&] {
    if (owners.load() == 1) delete shared;
    if (owners.fetch_sub(1) == 1) delete shared;
  };
  sync::jthread other(let_go);
  let_go();
}

void use_after_free() {
  auto* shared = new sync::atomic<int>(1);
  sync::jthread other([shared] { (void)shared->load(); });
  delete shared;
}

}  // namespace

std::vector<model> example_models() {
  return {
      {"example/store_buffering", "of two who announce themselves, one sees the other",
       store_buffering},
      {"example/data_race", "a flag passes a message on", data_race},
      {"example/deadlock", "two locks, taken in any order", deadlock},
      {"example/lost_wake_up", "a wake-up that comes first is remembered", lost_wake_up},
      {"example/livelock", "what nobody sets is set one day", livelock},
      {"example/leak", "whoever comes second frees what the first one made", leak},
      {"example/double_free", "the last owner frees it", double_free},
      {"example/use_after_free", "what is freed is not used", use_after_free},
  };
}

}  // namespace duel::explore
