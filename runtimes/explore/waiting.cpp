// waiting.cpp - locks, futexes, threads and time of the code under exploration, and what
// models say.
#include "runtimes/explore/execution.hpp"

namespace duel::explore {

namespace {

void record(step_kind kind, const void* object, const site& at, std::uint64_t before = 0,
            std::uint64_t after = 0, bool succeeded = true) {
  if (!world.records()) return;
  world.record({.kind = kind,
                .object = object,
                .before = before,
                .after = after,
                .succeeded = succeeded,
                .line = at.line(),
                .file = at.file_name()});
}

void take(location& l) {
  world.me().happens.join(l.newest().release);
  l.newest().value = world.self() + 1;
}

}  // namespace

void lock(location& l) {
  if (!world.is_inside()) return;
  world.check_live(l.life);
  world.begin_step(step_kind::lock, &l, {}, need::free_lock);
  world.access(l, world.self(), execution::use::lock);
  take(l);
  record(step_kind::lock, &l, {});
}

bool try_lock(location& l) {
  if (!world.is_inside()) return true;
  world.begin_ordered_step(step_kind::try_lock, &l, {});
  world.access(l, world.self(), execution::use::write);
  bool is_free = l.newest().value == 0;
  if (is_free) take(l);
  record(step_kind::try_lock, &l, {}, 0, 0, is_free);
  return is_free;
}

void unlock(location& l) {
  if (!world.is_inside()) return;
  world.begin_ordered_step(step_kind::unlock, &l, {});
  world.access(l, world.self(), execution::use::unlock);
  if (l.newest().value != world.self() + 1) {
    fail(failure::requirement, "a lock is unlocked by a thread that does not hold it");
  }
  l.newest().release = world.me().happens;
  l.newest().value = 0;
  record(step_kind::unlock, &l, {});
}

bool futex_wait(location& l, std::uint32_t expected, time deadline, site at) {
  if (!world.is_inside()) return true;
  world.begin_ordered_step(step_kind::sleep, &l, at);
  world.access(l, world.self(), execution::use::write);
  auto value = static_cast<std::uint32_t>(l.newest().value);
  bool sleeps = value == expected && deadline > world.clock();
  record(step_kind::sleep, &l, at, value, expected, sleeps);
  if (!sleeps) return value != expected;
  thread& me = world.me();
  me.is = thread::state::asleep;
  me.deadline = deadline;
  me.timed_out = false;
  me.object = &l;
  world.await_turn();
  me.deadline = time::max();
  me.happens.tick(world.self());
  record(step_kind::awake, &l, at, 0, 0, !me.timed_out);
  return !me.timed_out;
}

void futex_wake(location& l, unsigned most, site at) {
  if (!world.is_inside()) return;
  world.begin_ordered_step(step_kind::wake, &l, at);
  world.access(l, world.self(), execution::use::write);
  std::uint64_t woken = 0;
  for (agent i = 0; i < world.size() && woken < most; ++i) {
    thread& t = world.at(i);
    if (t.is != thread::state::asleep || t.object != &l) continue;
    t.is = thread::state::ready;
    t.needs = need::nothing;
    world.order_of(i).join(world.order_of(world.self()));
    // Its deadline could have come first.
    if (t.deadline != time::max()) world.by().race(world.decided(), i);
    ++woken;
  }
  record(step_kind::wake, &l, at, 0, woken);
}

unsigned spawn(std::move_only_function<void()> body) {
  if (!world.is_inside()) {
    std::fputs("explore: a thread is started outside of an execution\n", stderr);
    std::abort();
  }
  world.begin_ordered_step(step_kind::spawn, nullptr, {});
  unsigned index = world.add_thread(std::move(body));
  record(step_kind::spawn, nullptr, {}, 0, index);
  return index;
}

void join(unsigned thread) {
  world.me().joins = thread;
  world.begin_step(step_kind::join, nullptr, {}, need::end_of_thread);
  world.me().happens.join(world.at(thread).happens);
  world.order_of(world.self()).join(world.order_of(thread));
  world.order_of(world.self()).join(world.order_of(buffer_of(thread)));
  record(step_kind::join, nullptr, {}, 0, thread);
}

void yield() {
  if (!world.is_inside()) return;
  record(step_kind::yield, nullptr, {});
  world.pass_over_me();
  world.begin_step(step_kind::yield, nullptr, {});
}

time now() noexcept {
  if (world.is_inside()) {
    world.access(world.time_location, world.self(), execution::use::read);
  }
  return world.clock();
}

// --- models --------------------------------------------------------------------------

void require(bool holds, const char* what, site at) {
  if (!holds) fail(failure::requirement, what, at);
}

unsigned any_of(unsigned count) {
  if (!world.is_inside()) return 0;
  untracked_scope own;
  return world.by().choose(count, true);
}

void note(std::string_view text) {
  if (!world.is_inside() || !world.records()) return;
  untracked_scope own;
  world.record({.kind = step_kind::note, .text = std::string(text)});
}

unsigned this_thread() noexcept {
  return world.is_inside() ? world.self() : 0;
}

}  // namespace duel::explore

void duel::assertion_failed(const char* what, const char*, int) noexcept {
  explore::fail(explore::failure::requirement, what);
}
