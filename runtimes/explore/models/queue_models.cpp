// queue_models.cpp - the run queue with its thieves, and the inject queue. The first four
// are what Tokio models of its own queue.
#include "runtimes/explore/models.hpp"
#include "runtimes/explore/models/parts.hpp"
#include "runtimes/explore/models/tokens.hpp"
#include "runtimes/stealing/inject_queue.hpp"
#include "runtimes/stealing/run_queue.hpp"

namespace duel::explore {

namespace {

using stealing::basic_run_queue, stealing::inject_queue, stealing::task_chain;

template <std::uint32_t Capacity>
unsigned took_rest(basic_run_queue<Capacity>& of) {
  unsigned count = 0;
  while (took(of.pop())) ++count;
  return count;
}

// One round of a thief that runs what it steals.
template <std::uint32_t Capacity>
unsigned steal_round(basic_run_queue<Capacity>& from, basic_run_queue<Capacity>& into,
                     std::uint32_t most = Capacity) {
  auto got = from.steal_into(into, most);
  require((got.first == nullptr) == (got.count == 0), "a count comes with a task");
  require(got.count <= most, "no more is stolen than was asked for");
  if (!took(got.first)) return 0;
  auto rest = took_rest(into);
  require(rest + 1 == got.count, "the others are in the thief's queue");
  reached("something is stolen");
  if (got.count > 1) reached("several at once");
  return got.count;
}

// An owner that pushes three and takes what is left of them, again and again, beside a
// thief.
template <std::uint32_t Capacity, unsigned Turns>
void one_thief(std::uint32_t first, int rounds) {
  std::array<token, 3 * Turns> tasks;
  basic_run_queue<Capacity> queue(first), other;
  unsigned seen = 0, stolen = 0;
  sync::jthread thief([&] {
    for (int i = 0; i < rounds; ++i) stolen += steal_round(queue, other);
  });
  for (unsigned turn = 0; turn < Turns; ++turn) {
    for (int i = 0; i < 3; ++i) seen += took_all(queue.push(queued(tasks[3 * turn + i])));
    seen += took_rest(queue);
  }
  thief.join();
  require(queue.empty() && seen + stolen == tasks.size(), "each is seen once");
  require_all_taken(tasks);
  if (stolen == 0) reached("nothing is stolen");
}

// The ring is full when the thief comes: it makes room, or the owner moves half away, or
// the owner finds the thief at it and keeps only the new one out.
void steal_overflow() {
  std::array<token, 6> tasks;
  basic_run_queue<4> queue, other;
  unsigned stolen = 0, spilled = 0;
  for (int i = 0; i < 4; ++i) spilled += took_all(queue.push(queued(tasks[i])));
  require(spilled == 0, "four fit");
  sync::jthread thief([&] { stolen = steal_round(queue, other); });
  auto chain = queue.push(queued(tasks[4]));
  if (chain.empty()) reached("the thief made room");
  if (chain.size() == 1) reached("a thief is at it");
  if (chain.size() == 3) reached("half moves away");
  unsigned seen = took_all(chain);
  seen += took_all(queue.push(queued(tasks[5])));
  seen += took_rest(queue);
  thief.join();
  require(seen + stolen == 6, "each is seen once");
  require_all_taken(tasks);
}

// Who takes what keeps its order: the chain holds the younger half, the ring the older.
void overflow_order() {
  std::array<token, 5> tasks;
  basic_run_queue<4> queue(~0u - 2);
  for (int i = 0; i < 4; ++i) require(queue.push(queued(tasks[i])).empty(), "four fit");
  auto chain = queue.push(queued(tasks[4]));
  for (int i : {2, 3, 4}) require(chain.pop() == &tasks[i], "the younger half moves");
  require(queue.pop() == &tasks[0] && queue.pop() == &tasks[1], "the older half stays");
  require(queue.empty(), "and nothing else");
}

void two_thieves() {
  std::array<token, 4> tasks;
  basic_run_queue<2> queue(~0u), one_queue, two_queue;
  unsigned seen = 0, one = 0, two = 0;
  seen += took_all(queue.push(queued(tasks[0])));
  seen += took_all(queue.push(queued(tasks[1])));
  {
    sync::jthread first([&] { one = steal_round(queue, one_queue); });
    sync::jthread second([&] { two = steal_round(queue, two_queue); });
    sync::jthread owner([&] {
      seen += took_all(queue.push(queued(tasks[2])));
      seen += took_all(queue.push(queued(tasks[3])));
      seen += took(queue.pop());
    });
  }
  if (one > 0 && two > 0) reached("both steal");
  seen += took_rest(queue);
  require(seen + one + two == 4, "each is seen once");
  require_all_taken(tasks);
}

// A worker fills its queue by stealing while somebody steals from it.
void chained_steal() {
  constexpr unsigned capacity = 4;
  std::array<token, 2 * capacity> tasks;
  basic_run_queue<capacity> queue, middle, last;
  unsigned seen = 0, stolen = 0, count = capacity + any_of(capacity + 1);
  for (unsigned i = 0; i < count; ++i) {
    auto& full = i < capacity ? queue : middle;
    require(full.push(queued(tasks[i])).empty(), "it fits");
  }
  sync::jthread thief([&] { stolen = steal_round(middle, last); });
  auto got = queue.steal_into(middle);
  seen += took(got.first);
  seen += took(middle.pop());
  thief.join();
  if (stolen > 0 && got.count > 0) reached("one steals where another has put");
  seen += took_rest(middle) + took_rest(queue);
  require(seen + stolen == count, "each is seen once");
}

// The switch --steal=one.
void steal_one() {
  std::array<token, 4> tasks;
  basic_run_queue<4> queue, other;
  unsigned seen = 0, stolen = 0;
  for (int i = 0; i < 3; ++i) seen += took_all(queue.push(queued(tasks[i])));
  sync::jthread thief([&] {
    stolen += steal_round(queue, other, 1);
    stolen += steal_round(queue, other, 1);
  });
  seen += took(queue.pop());
  seen += took_all(queue.push(queued(tasks[3])));
  seen += took_rest(queue);
  thief.join();
  if (stolen == 2) reached("one after the other");
  require(seen + stolen == 4, "each is seen once");
  require_all_taken(tasks);
}

// The owner turns the ring twice while a thief lies between its look and its claim.
void sleeping_thief() {
  std::array<token, 5> tasks;
  basic_run_queue<2> queue(~0u - 1), other;
  unsigned seen = 0, stolen = 0;
  seen += took_all(queue.push(queued(tasks[0])));
  sync::jthread thief([&] { stolen = steal_round(queue, other); });
  for (int i = 1; i < 5; ++i) {
    seen += took(queue.pop());
    seen += took_all(queue.push(queued(tasks[i])));
  }
  seen += took_rest(queue);
  thief.join();
  require(seen + stolen == 5, "each is seen once");
  require_all_taken(tasks);
}

// Any thread may ask how long the queue is; the owner's room is never more than there is.
void sizes() {
  std::array<token, 3> tasks;
  basic_run_queue<2> queue, other;
  unsigned stolen = 0;
  require(queue.push(queued(tasks[0])).empty(), "it fits");
  require(queue.push(queued(tasks[1])).empty(), "it fits");
  sync::jthread thief([&] {
    require(queue.size() <= 3, "no more than were pushed");
    stolen = steal_round(queue, other);
  });
  auto room = queue.room();
  auto chain = queue.push(queued(tasks[2]));
  if (room > 0) {
    reached("there is room");
    require(chain.empty(), "room stays until the owner uses it");
  }
  unsigned seen = took_all(chain) + took_rest(queue);
  thief.join();
  require(queue.empty() && queue.room() == 2, "all room is back");
  require(seen + stolen == 3, "each is seen once");
}

// --- the inject queue ------------------------------------------------------------------

void inject_order() {
  std::array<token, 4> tasks;
  inject_queue queue;
  sync::jthread producer([&] {
    queue.push(task_chain::of(queued(tasks[0])));
    task_chain two;
    two.push(queued(tasks[1]));
    two.push(queued(tasks[2]));
    queue.push(two);
  });
  sync::jthread other([&] { queue.push(task_chain::of(queued(tasks[3]))); });
  unsigned seen = 0, of_producer = 0;
  auto take = [&](std::size_t most) {
    auto batch = queue.pop(most);
    require(batch.size() <= most, "no more than was asked for");
    while (task* t = batch.pop()) {
      took(t);
      ++seen;
      if (t != &tasks[3]) require(t == &tasks[of_producer++], "oldest first");
    }
  };
  take(2);
  if (seen == 0) reached("empty");
  if (seen == 2) reached("a batch");
  take(1);
  producer.join();
  other.join();
  take(4);
  require(queue.empty() && seen == 4, "each is seen once");
  require_all_taken(tasks);
}

// A push that the hint misses: then the pusher's own step on another word comes after the
// other's, and sees it.
void inject_hint() {
  token task;
  inject_queue queue;
  sync::atomic<unsigned> sleepers{0};
  bool is_seen = false, sees_sleeper = false;
  sync::jthread sleeper([&] {
    // release, acquire: whichever of the two comes second sees what the first did
    sleepers.fetch_add(1, std::memory_order_acq_rel);
    is_seen = !queue.empty();
  });
  queue.push(task_chain::of(queued(task)));
  // release, acquire: as in the other thread
  sees_sleeper = sleepers.fetch_add(0, std::memory_order_acq_rel) == 1;
  sleeper.join();
  require(is_seen || sees_sleeper, "one sees the other");
  require(took_all(queue.pop(1)) == 1, "the task is there");
}

}  // namespace

void add_queue_models(std::vector<model>& to) {
  const settings fails{.weak_failures = true};
  // Store buffers multiply what there is to try: with them, less of the same.
  to.push_back({.name = "run_queue/one_thief",
                .summary = "a thief and an owner that pushes, pops and overflows see "
                           "each task once",
                .body = [] { one_thief<2, 2>(0, 3); },
                .memories = {memory_model::interleaving, memory_model::weak},
                .outcomes = {"something is stolen", "nothing is stolen"}});
  to.push_back({.name = "run_queue/one_turn",
                .summary = "the same with one turn of the owner",
                .body = [] { one_thief<2, 1>(0, 2); },
                .outcomes = {"something is stolen", "nothing is stolen"}});
  to.push_back({.name = "run_queue/wrap",
                .summary = "and in a ring of four whose indices wrap",
                .body = [] { one_thief<4, 1>(~0u - 1, 2); },
                .outcomes = {"several at once", "nothing is stolen"}});
  to.push_back(
      {.name = "run_queue/steal_overflow",
       .summary = "an overflow beside a steal loses nothing",
       .body = &steal_overflow,
       .how = fails,
       .outcomes = {"the thief made room", "a thief is at it", "half moves away"}});
  to.push_back({.name = "run_queue/overflow_order",
                .summary = "the older half stays in the ring",
                .body = &overflow_order});
  to.push_back({.name = "run_queue/two_thieves",
                .summary = "two thieves and the owner see each task once",
                .body = &two_thieves,
                .bound = 2,  // 3 takes a minute with store buffers
                .outcomes = {"both steal"}});
  to.push_back({.name = "run_queue/chained_steal",
                .summary = "a queue may be filled by a steal while it is stolen from",
                .body = &chained_steal,
                .outcomes = {"one steals where another has put"}});
  to.push_back({.name = "run_queue/steal_one",
                .summary = "steals of one task take one",
                .body = &steal_one,
                .bound = 2,
                .outcomes = {"one after the other"}});
  to.push_back({.name = "run_queue/sleeping_thief",
                .summary = "a thief that sleeps through whole turns of the ring claims "
                           "nothing",
                .body = &sleeping_thief,
                .bound = 2});
  to.push_back({.name = "run_queue/sizes",
                .summary = "room that the owner has seen stays",
                .body = &sizes,
                .outcomes = {"there is room"}});
  to.push_back({.name = "inject/order",
                .summary = "batches hold each task once, oldest first",
                .body = &inject_order,
                .outcomes = {"empty", "a batch"}});
  to.push_back({.name = "inject/hint",
                .summary = "a push that the hint misses comes after its reader's step",
                .body = &inject_hint});
  add_mailbox_models(to);
}

}  // namespace duel::explore
