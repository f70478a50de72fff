// mailbox_models.cpp - what shards send each other and how they sleep, and the stacks
// that threads share.
#include <map>
#include <memory>

#include "runtimes/core/futex.hpp"
#include "runtimes/core/stack_pool.hpp"
#include "runtimes/explore/models/parts.hpp"
#include "runtimes/sharded/mailbox.hpp"
#include "runtimes/sharded/parking.hpp"

namespace duel::explore {

namespace {

using sharded::basic_mailbox, sharded::message, sharded::parking;
using letter = sync::plain<int>;  // 0 made, 1 sent, 2 handled

message sent(letter& l) {
  require(l == 0, "a message is sent once");
  l = 1;
  return {.deliver = nullptr, .what = &l};
}
void handle(const message& m) {
  auto& l = *static_cast<letter*>(m.what);
  require(l == 1, "a message is handled once");
  l = 2;
}

// Where one side waits until the other has moved. It is looked at after a first attempt
// has failed only, so that it orders nothing that the ring itself must.
struct turnstile {
  void move() {
    moves.fetch_add(1, std::memory_order_release);  // release: pass() sees what moved
    futex_wake_one(moves);
  }
  // `attempt()` until it succeeds.
  template <class Attempt>
  void pass(Attempt attempt) {
    while (!attempt()) {
      auto seen = moves.load(std::memory_order_acquire);  // acquire: as above
      if (attempt()) return;
      futex_wait(moves, seen);
    }
  }
  sync::atomic<std::uint32_t> moves{0};
};

// The ring is full now and then, and wraps.
template <std::uint32_t Capacity>
void push_beside_drain() {
  std::array<letter, Capacity + 2> letters;
  basic_mailbox<Capacity> box;
  turnstile pushed, drained;
  sync::jthread receiver([&] {
    for (unsigned got = 0; got < letters.size();) {
      pushed.pass([&] {
        auto count = box.drain([&](const message& m) {
          require(m.what == &letters[got++], "in the order in which they were sent");
          handle(m);
        });
        if (count > 1) reached("several at once");
        return count > 0;
      });
      drained.move();
    }
  });
  for (auto& l : letters) {
    auto m = sent(l);
    drained.pass([&] {
      if (box.push(m)) return true;
      reached("full");
      return false;
    });
    pushed.move();
  }
  receiver.join();
  require(box.all_handled(), "nothing is left");
}

// What the handling of a message did is there for the sender that sees it handled; the
// end of a run rests on that.
void all_handled() {
  std::array<letter, 2> letters;
  basic_mailbox<2> box;
  sync::jthread sender([&] {
    for (auto& l : letters) require(box.push(sent(l)), "there is room");
    if (box.all_handled()) {
      reached("handled");
      for (auto& l : letters) require(l == 2, "handled before it counts as handled");
    } else {
      reached("under way");
    }
  });
  {
    sync::jthread receiver([&] {
      for (int i = 0; i < 2; ++i) box.drain(&handle);
    });
  }
  sender.join();
}

// --- the doorbell ----------------------------------------------------------------------

// The driver in which a shard sleeps.
struct bell {
  void wait() {
    while (word.load() == 0) futex_wait(word, 0);
    word.exchange(0);
  }
  void ring() {
    word.exchange(1);
    futex_wake_one(word);
  }
  sync::atomic<std::uint32_t> word{0};
};

// The loop of a shard that has nothing but mail.
struct receiver {
  receiver() { driver = &door; }
  // `is_done()` and the mail it looks for are whatever `look` finds.
  template <class Look, class Done>
  void run(Look look, Done is_done) {
    while (!is_done()) {
      if (sleeper.take_notice()) {
        look();
      } else if (sleeper.begin_sleep()) {
        ++sleeps;
        driver->wait();
        sleeper.end_sleep();
      }
    }
  }
  void notify() {
    if (!sleeper.notify()) return;
    rings.fetch_add(1, std::memory_order_relaxed);  // relaxed: only counted
    driver->ring();
  }

  bell door;
  parking sleeper;
  sync::plain<bell*> driver;
  sync::atomic<unsigned> rings{0};
  unsigned sleeps = 0;
};

// Two messages with a notice each: the receiver sleeps between or before, or not at all.
void notice() {
  std::array<letter, 2> letters;
  basic_mailbox<2> box;
  receiver shard;
  sync::jthread sender([&] {
    for (auto& l : letters) {
      require(box.push(sent(l)), "there is room");
      shard.notify();
    }
  });
  unsigned got = 0;
  shard.run([&] { got += box.drain(&handle); }, [&] { return got == letters.size(); });
  sender.join();
  auto rings = shard.rings.load();
  require(rings <= shard.sleeps, "the bell rings once a sleep");
  if (rings == 0) reached("no ring");
  if (rings == 2) reached("two rings");
}

// Two senders: one rings, and whoever comes before the receiver wakes relies on that.
void two_senders() {
  std::array<letter, 2> letters;
  std::array<basic_mailbox<2>, 2> box;
  receiver shard;
  auto send = [&](unsigned i) {
    require(box[i].push(sent(letters[i])), "there is room");
    shard.notify();
  };
  sync::jthread one([&] { send(0); }), two([&] { send(1); });
  unsigned got = 0;
  shard.run(
      [&] {
        for (auto& b : box) got += b.drain(&handle);
      },
      [&] { return got == letters.size(); });
  one.join();
  two.join();
  require(shard.rings.load() <= shard.sleeps, "the bell rings once a sleep");
  if (shard.rings.load() == 1 && shard.sleeps == 1) reached("one ring for both");
}

// A sleeper may have opened its driver just before; whoever rings sees it.
void opened_before_sleep() {
  parking sleeper;
  sync::plain<bell*> driver = nullptr;
  bell door;
  sync::jthread sender([&] {
    if (sleeper.notify()) driver->ring();
  });
  driver = &door;
  if (sleeper.begin_sleep()) {
    driver->wait();
    sleeper.end_sleep();
    reached("slept");
  } else {
    reached("stayed awake");
  }
  require(sleeper.take_notice(), "the notice is there");
  sender.join();
}

// Threads that are no shard push and ring under the inbox's lock, with which the owner
// destroys its driver.
void ring_beside_close() {
  sync::mutex inbox;
  parking sleeper;
  auto driver = std::make_unique<bell>();
  sync::plain<int> mail{0};
  auto post = [&] {
    std::lock_guard lock(inbox);
    mail = mail + 1;
    if (sleeper.notify()) driver->ring();
  };
  sync::jthread one(post), two(post);
  if (sleeper.begin_sleep()) {
    driver->wait();
    sleeper.end_sleep();
    reached("slept");
  }
  {
    std::lock_guard lock(inbox);
    driver.reset();
  }
  one.join();
  two.join();
  require(mail == 2 && sleeper.take_notice(), "late mail is left to a sweep");
}

// --- stacks ----------------------------------------------------------------------------

// Two threads take and give back through their caches; a stack has one owner at a time.
void two_caches() {
  stack_pool pool(4096);
  std::map<std::byte*, std::unique_ptr<sync::plain<int>>> users;
  auto use = [&](const stack& s) {
    untracked_scope own;
    auto& count = users[s.data()];
    if (!count) count = std::make_unique<sync::plain<int>>(0);
    return count.get();
  };
  auto work = [&] {
    stack_cache cache(pool);
    std::array<stack, 3> mine;
    for (auto& s : mine) {
      s = cache.take();
      auto& count = *use(s);
      count = count + 1;
      require(count == 1, "nobody else has it");
    }
    for (auto& s : mine) {
      auto& count = *use(s);
      count = count - 1;
      cache.give_back(s);
    }
    require(cache.size() <= 4, "a cache keeps little");
  };
  {
    sync::jthread other(work);
    work();
  }
  require(pool.mapped() == pool.available(), "all stacks are back");
  if (pool.mapped() == 4) reached("one after the other");
  if (pool.mapped() == 6) reached("at the same time");
  untracked_scope own;
  users.clear();
}

}  // namespace

void add_mailbox_models(std::vector<model>& to) {
  to.push_back({.name = "mailbox/push_beside_drain",
                .summary = "messages arrive once and in order through a ring of two",
                .body = &push_beside_drain<2>,
                .outcomes = {"full", "several at once"}});
  to.push_back({.name = "mailbox/push_beside_drain_of_four",
                .summary = "and through one of four",
                .body = &push_beside_drain<4>,
                .bound = 2,
                .outcomes = {"full", "several at once"}});
  to.push_back({.name = "mailbox/all_handled",
                .summary = "a message that counts as handled has been",
                .body = &all_handled,
                .outcomes = {"handled", "under way"}});
  to.push_back({.name = "doorbell/notice",
                .summary = "no notice is missed, and the bell rings once a sleep",
                .body = &notice,
                .outcomes = {"no ring", "two rings"}});
  to.push_back({.name = "doorbell/two_senders",
                .summary = "one ring is enough for two senders",
                .body = &two_senders,
                .bound = 2,
                .outcomes = {"one ring for both"}});
  to.push_back({.name = "doorbell/opened_before_sleep",
                .summary = "whoever rings sees the driver that the sleeper is in",
                .body = &opened_before_sleep,
                .outcomes = {"slept", "stayed awake"}});
  to.push_back({.name = "doorbell/ring_beside_close",
                .summary = "nobody rings a driver that is gone",
                .body = &ring_beside_close,
                .outcomes = {"slept"}});
  to.push_back({.name = "stacks/two_caches",
                .summary = "a stack has one owner at a time, and all come back",
                .body = &two_caches,
                .outcomes = {"one after the other", "at the same time"}});
}

}  // namespace duel::explore
