// channel_models.cpp - what tasks do with each other: the channel, and a call to another
// home.
#include "runtimes/api/call.hpp"
#include "runtimes/api/sync/channel.hpp"
#include "runtimes/explore/models.hpp"
#include "runtimes/explore/models/task_world.hpp"

namespace duel::models {

namespace {

// Tasks in slots 0, 1, ..., each of which a thread runs to its end.
class crew {
 public:
  void add(counted_task::body_fn body) {
    join_handle<token>(world_.start(counts_[size_++], std::move(body))).detach();
  }
  void run() {
    std::array<sync::jthread, task_world::most_tasks> threads;
    for (unsigned i = 1; i < size_; ++i) {
      threads[i] = sync::jthread([this, i] { world_.run_to_end(i); });
    }
    world_.run_to_end(0);
  }
  task_world& world() noexcept { return world_; }

 private:
  std::array<tally, task_world::most_tasks> counts_;
  task_world world_;
  unsigned size_ = 0;
};

bool is_closed(const auto& done) {
  return !done && done.error() == std::make_error_code(std::errc::broken_pipe);
}
bool is_cancelled_result(const auto& done) {
  return !done && done.error() == std::make_error_code(std::errc::operation_canceled);
}

// More values than there is room for arrive, in their order.
void values_in_order() {
  crew tasks;
  channel<int> line(1);
  tasks.add([&] {
    for (int i = 0; i < 3; ++i) require(line.send(i).has_value(), "it is sent");
  });
  tasks.add([&] {
    for (int i = 0; i < 3; ++i) require(line.receive() == i, "values keep their order");
  });
  tasks.run();
}

// Two senders wait for room: each takes its turn.
void two_senders() {
  crew tasks;
  channel<int> line(1);
  tasks.add([&] {
    int sum = 0;
    for (int i = 0; i < 2; ++i) sum += line.receive().value();
    require(sum == 3, "no value is lost, none comes twice");
  });
  tasks.add([&] { require(line.send(1).has_value(), "it is sent"); });
  tasks.add([&] { require(line.send(2).has_value(), "it is sent"); });
  tasks.run();
}

// close() ends every wait; what was sent can still be received.
void closed_beside_both() {
  crew tasks;
  channel<int> line(1);
  int sent = 0;
  int received = 0;
  tasks.add([&] {
    while (line.send(1)) {
      if (++sent == 2) reached("sent all");
      if (sent == 2) return;
    }
    reached("closed while sending");
  });
  tasks.add([&] {
    for (;;) {
      auto value = line.receive();
      if (is_closed(value)) return;
      require(value.has_value(), "it is a value or the end");
      ++received;
    }
  });
  tasks.add([&] { line.close(); });
  tasks.run();
  require(sent == received, "what was sent is received");
}

// Two receivers wait: a value is for one of them, close() is for both.
void close_wakes_all() {
  int sent = static_cast<int>(any_of(2));
  crew tasks;
  channel<int> line(1);
  int received = 0, ended = 0;
  auto receive = [&] {
    auto value = line.receive();
    value ? ++received : ended += is_closed(value);
  };
  tasks.add([&] {
    if (sent == 1) require(line.send(1).has_value(), "it is sent");
    line.close();
  });
  tasks.add(receive);
  tasks.add(receive);
  tasks.run();
  require(received == sent && ended == 2 - sent, "one gets the value, the other the end");
}

// Two receivers wait, one value comes, one of them is cancelled: if the wake was for that
// one, the other gets it.
void cancel_passes_the_wake_on() {
  tally of_first, of_second, of_sender;
  task_world world;
  channel<int> line(1);
  bool was_cancelled = false;
  auto receive = [&] {
    auto value = line.receive();
    if (is_cancelled_result(value)) {
      was_cancelled = true;
    } else {
      require(value.has_value(), "a receiver is cancelled or gets a value");
    }
  };
  counted_task& first = world.start(of_first, receive);
  join_handle<token> handle(first);
  world.run_one(0);
  join_handle<token>(world.start(of_second, receive)).detach();
  world.run_one(1);
  join_handle<token>(world.start(of_sender, [&] { (void)line.send(1); })).detach();
  sync::jthread sending([&] { world.run_to_end(2); });
  sync::jthread receiving([&] { world.run_to_end(0); });
  handle.cancel();
  sending.join();
  receiving.join();
  reached(was_cancelled ? "cancelled before the value" : "the value came first");
  if (!was_cancelled) {
    tally of_last;
    join_handle<token>(world.start(of_last, [&] { (void)line.send(2); })).detach();
    world.run_to_end(3);
  }
  while (world.run_one(1)) {
  }
  require(world.has_ended(1), "no wake is lost with who was cancelled");
}

// The errand's answer reaches a caller that waits, and one that somebody else has woken.
void call_is_answered() {
  tally of_caller;
  task_world world;
  sync::plain<int> at_the_home{0};
  counted_task& caller = world.start(of_caller, [&] {
    auto body = [&] {
      at_the_home = 1;
      return 7;
    };
    detail::call<decltype(body)> there(body);
    spawn_at(0, detail::errand<decltype(body)>(there));
    require(there.await() == 7, "the answer is what the function returned");
    require(at_the_home == 1, "and what it wrote is visible");
  });
  join_handle<token>(caller).detach();
  waker spurious = waker::of(caller);
  world.run_one(0);
  sync::jthread home([&] { world.run_to_end(1); });
  sync::jthread other([&] { std::move(spurious).wake(); });
  world.run_to_end(0);
}

}  // namespace

}  // namespace duel::models

namespace duel::explore {

using namespace duel::models;

void add_channel_models(std::vector<model>& to) {
  to.push_back({.name = "channel/values_in_order",
                .summary = "values arrive in order through a channel that is full",
                .body = values_in_order});
  to.push_back({.name = "channel/two_senders",
                .summary = "no sender that waits for room is forgotten",
                .body = two_senders,
                .bound = 2});  // three threads
  to.push_back({.name = "channel/close",
                .summary = "close() ends every wait and loses nothing",
                .body = closed_beside_both,
                .bound = 2,  // three threads
                .outcomes = {"sent all", "closed while sending"}});
  to.push_back({.name = "channel/close_wakes_all",
                .summary = "close() wakes everybody who waits",
                .body = close_wakes_all,
                .bound = 2});  // three threads
  to.push_back({.name = "channel/cancel_passes_on",
                .summary = "a wake for a receiver that is cancelled goes to the next",
                .body = cancel_passes_the_wake_on,
                .outcomes = {"cancelled before the value", "the value came first"}});
  to.push_back({.name = "call/answered",
                .summary = "a call's answer arrives, however often its caller is woken",
                .body = call_is_answered});
}

}  // namespace duel::explore
