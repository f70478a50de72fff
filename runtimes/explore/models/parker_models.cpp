// parker_models.cpp - where one worker sleeps.
#include <mutex>

#include "runtimes/explore/models/parts.hpp"
#include "runtimes/stealing/parker.hpp"

namespace duel::explore {

namespace {

using stealing::parker;

// Both notifications are followed by a look at what they are about.
void unpark_beside_park() {
  parker sleeper;
  sync::atomic<int> work{0};
  sync::jthread waker([&] {
    for (int i = 1; i <= 2; ++i) {
      work.store(i, std::memory_order_relaxed);  // relaxed: the parker publishes it
      require(!sleeper.unpark(), "nobody is in a driver");
    }
  });
  unsigned parks = 0;
  while (work.load(std::memory_order_relaxed) < 2) {  // relaxed: as above
    sleeper.park();
    ++parks;
  }
  // Each unpark ends two sleeps at most: by its word, and the next one by a late wake.
  require(parks <= 4, "no sleep ends without a reason");
  if (parks == 0) reached("never parked");
  if (parks == 2) reached("parked twice");
  waker.join();
}

// What the unparker wrote is there after the first park.
void unpark_publishes() {
  parker sleeper;
  sync::plain<int> data{0};
  sync::jthread waker([&] {
    data = 1;
    (void)sleeper.unpark();
  });
  sleeper.park();
  require(data == 1, "it is there");
  waker.join();
}

void park_with_deadline() {
  parker sleeper;
  sync::atomic<bool> is_woken{false};
  sync::jthread waker([&] {
    is_woken.store(true);
    (void)sleeper.unpark();
  });
  sleeper.park(clock::now() + std::chrono::milliseconds(1));
  is_woken.load() ? reached("woken") : reached("in time");
  while (!is_woken.load()) sleeper.park();
  waker.join();
}

// A driver in which one worker sleeps for all; events and interrupts end it.
struct shared_driver {
  void poll() {
    polls = polls + 1;  // plain: one at a time
    while (bell.load() == 0) futex_wait(bell, 0);
    bell.exchange(0);
  }
  void interrupt() {
    bell.exchange(1);
    futex_wake_one(bell);
  }
  sync::plain<unsigned> polls{0};
  sync::atomic<std::uint32_t> bell{0};
};

void unpark_in_driver() {
  parker sleeper;
  shared_driver driver;
  sync::plain<int> data{0};
  sync::jthread waker([&] {
    data = 1;
    if (!sleeper.unpark()) return;
    reached("interrupted");
    driver.interrupt();
  });
  bool polled = false;
  sleeper.park_in([&] {
    polled = true;
    driver.poll();
  });
  if (!polled) reached("before the sleep");
  require(data == 1, "it is there");
  waker.join();
  require(driver.bell.load() == 0, "one interrupt a poll");
}

// An event ends the first sleep in the driver; the unpark comes at any time.
void event_beside_unpark() {
  parker sleeper;
  shared_driver driver;
  sync::atomic<bool> work{false};
  sync::jthread event([&] { driver.interrupt(); });
  sync::jthread waker([&] {
    work.store(true, std::memory_order_relaxed);  // relaxed: the parker publishes it
    if (sleeper.unpark()) driver.interrupt();
  });
  unsigned polls = 0;
  while (!work.load(std::memory_order_relaxed)) {  // relaxed: as above
    sleeper.park_in([&] {
      driver.poll();
      ++polls;
    });
  }
  if (polls == 2) reached("polled again");
  require(polls <= 2, "no sleep ends without a reason");
  event.join();
  waker.join();
}

// Two workers sleep, one of them in the driver, if it is free; both are unparked.
void one_polls() {
  shared_driver driver;
  sync::mutex turn;
  std::array<parker, 2> sleepers;
  std::array<sync::atomic<bool>, 2> woken{false, false};
  auto sleep = [&](unsigned me) {
    while (!woken[me].load()) {
      std::unique_lock mine(turn, std::try_to_lock);
      if (mine) {
        sleepers[me].park_in([&] { driver.poll(); });
      } else {
        reached("somebody polls");
        sleepers[me].park();
      }
    }
  };
  sync::jthread one([&] { sleep(0); }), two([&] { sleep(1); });
  for (unsigned i : {0u, 1u}) {
    woken[i].store(true);
    if (sleepers[i].unpark()) driver.interrupt();
  }
  one.join();
  two.join();
}

}  // namespace

void add_parker_models(std::vector<model>& to) {
  to.push_back({.name = "parker/unpark_beside_park",
                .summary = "no unpark is lost",
                .body = &unpark_beside_park,
                .outcomes = {"never parked", "parked twice"}});
  to.push_back({.name = "parker/unpark_publishes",
                .summary = "what the unparker wrote is there",
                .body = &unpark_publishes});
  to.push_back({.name = "parker/park_with_deadline",
                .summary = "a sleep ends by an unpark or by its deadline",
                .body = &park_with_deadline,
                .outcomes = {"woken", "in time"}});
  to.push_back({.name = "parker/unpark_in_driver",
                .summary = "a worker inside its driver is interrupted",
                .body = &unpark_in_driver,
                .outcomes = {"interrupted", "before the sleep"}});
  to.push_back({.name = "parker/event_beside_unpark",
                .summary = "who leaves its driver for an event finds what it was told",
                .body = &event_beside_unpark,
                .outcomes = {"polled again"}});
  to.push_back({.name = "parker/one_polls",
                .summary = "one of the sleepers polls, the others sleep outside",
                .body = &one_polls,
                .bound = 2,
                .outcomes = {"somebody polls"}});
}

}  // namespace duel::explore
