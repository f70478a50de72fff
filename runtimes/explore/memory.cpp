// memory.cpp - what loads return and stores do, under the three memory models.
#include <bit>

#include "runtimes/explore/execution.hpp"

namespace duel::explore {

namespace {

bool acquires(std::memory_order o) noexcept {
  return o == std::memory_order_acquire || o == std::memory_order_acq_rel ||
         o == std::memory_order_seq_cst;
}
bool releases(std::memory_order o) noexcept {
  return o == std::memory_order_release || o == std::memory_order_acq_rel ||
         o == std::memory_order_seq_cst;
}

// The oldest store that the calling thread may still read.
std::uint32_t oldest_visible(location& l, std::memory_order order) {
  const auto& happens = world.me().happens;
  std::uint32_t newest = l.newest_number;
  std::uint32_t oldest = newest < location::history ? 0 : newest - location::history + 1;
  for (auto n = newest; n > oldest; --n) {
    const stored& s = l.number(n);
    if (happens.knows(s.thread, s.stamp)) oldest = n;
  }
  for (agent t = 0; t < world.size(); ++t) {
    auto r = l.reads[t];
    if (r.stamp != 0 && happens.knows(t, r.stamp)) oldest = std::max(oldest, r.number);
  }
  if (order == std::memory_order_seq_cst) oldest = std::max(oldest, l.newest_ordered);
  return oldest;
}

// A store by the calling thread, ready to be made.
stored make_store(std::uint64_t value, std::memory_order order) {
  auto& t = world.me();
  stored s{.value = value,
           .thread = world.self(),
           .stamp = t.happens.of(world.self()),
           .is_ordered = order == std::memory_order_seq_cst,
           .release = {}};
  if (releases(order)) s.release = t.happens;
  return s;
}

}  // namespace

void execution::check_live(const existence& e) {
  if (e.is_live()) return;
  record_object(&e);
  fail(failure::memory, "used after its end", me().at);
}

// --- the reduction: steps that depend on each other -----------------------------------

namespace {
bool has_buffered(const thread& t, const location& l) {
  for (unsigned i = 0; i < t.buffered; ++i) {
    if (t.buffer[(t.first + i) % most_buffered].to == &l) return true;
  }
  return false;
}
}  // namespace

void execution::access(location& l, agent by, use as) {
  check_live(l.life);
  if (l.execution != number_) {
    stored now = l.newest();
    l.execution = number_;
    l.used = {};
    l.reads = {};
    l.newest_number = l.newest_ordered = 0;
    l.stores[0] = {.value = now.value};
  }
  usage& u = l.used;
  vector_clock& order = orders_[by];
  // A thread's loads and its own buffer commute: it sees its stores wherever they are.
  agent twin = is_buffer(by) ? thread_of(by) : buffer_of(by);
  auto race_with = [&](agent_set others, const auto& steps) {
    for (agent_set rest = others & ~one(by) & ~one(twin); rest; rest &= rest - 1) {
      auto other = static_cast<agent>(std::countr_zero(rest));
      if (!order.knows(other, steps[other].stamp)) {
        by_->race(steps[other].decision, by);
      }
    }
  };
  // Unlocking and locking are never both possible, so only two locks race.
  bool writes = as != use::read;
  race_with(u.writers, u.writes);
  if (as == use::write) race_with(u.readers, u.reads);
  // So neither must pass on to the other what it knows of third ones.
  bool is_own = as == use::read && l.newest().thread == by;
  bool is_buffered = as == use::read && is_tso() && has_buffered(threads_[by], l);
  if (!is_own) order.join(u.write_order);
  if (writes) order.join(u.read_order);
  usage::step done{order.tick(by), decided_};
  if (as == use::read || as == use::unlock) {
    u.readers |= one(by);
    u.reads[by] = done;
    if (!is_buffered) u.read_order.join(order);
  } else {
    u.writers |= one(by);
    u.writes[by] = done;
    u.write_order = order;
  }
}

void execution::commit(location& l, const stored& s) {
  ++l.newest_number;
  l.newest() = s;
  if (s.is_ordered) l.newest_ordered = l.newest_number;
}

void execution::flush(agent buffer) {
  thread& t = threads_[thread_of(buffer)];
  waiting_store& w = t.buffer[t.first];
  orders_[buffer].join(w.order);
  t.first = (t.first + 1) % most_buffered;
  --t.buffered;
  if (!w.to) return;  // gone, see forget()
  if (!w.to->life.is_live()) {
    end(failure::memory, "a store reaches memory after the end of its object", w.at);
    return;
  }
  access(*w.to, buffer, use::write);
  if (records())
    record({.kind = step_kind::flush,
            .by = buffer,
            .object = w.to,
            .before = w.to->newest().value,
            .after = w.what.value,
            .line = w.at.line(),
            .file = w.at.file_name()});
  commit(*w.to, w.what);
}

// --- atomics -------------------------------------------------------------------------

std::uint64_t load(location& l, std::memory_order order, site at) {
  if (!world.is_inside()) return l.newest().value;
  world.begin_step(step_kind::load, &l, at);
  order = world.effective(order, at, step_kind::load);
  auto& t = world.me();
  world.access(l, world.self(), execution::use::read);
  auto record = [&](std::uint64_t value, bool is_stale) {
    if (!world.records()) return;
    world.record({.kind = step_kind::load,
                  .object = &l,
                  .before = value,
                  .after = l.newest().value,
                  .is_stale = is_stale,
                  .order = static_cast<int>(order),
                  .line = at.line(),
                  .file = at.file_name()});
  };
  for (unsigned i = t.buffered; i-- > 0;) {
    auto& own = t.buffer[(t.first + i) % most_buffered];
    if (own.to != &l) continue;
    record(own.what.value, false);
    return own.what.value;
  }
  std::uint32_t n = l.newest_number;
  if (world.how().memory == memory_model::weak) {
    if (auto oldest = oldest_visible(l, order); oldest < n) {
      untracked_scope own;
      n -= world.by().choose(n - oldest + 1, false);
    }
  }
  const stored& s = l.number(n);
  if (acquires(order)) t.happens.join(s.release);
  l.reads[world.self()] = {n, t.happens.of(world.self())};
  record(s.value, n != l.newest_number);
  return s.value;
}

void store(location& l, std::uint64_t value, std::memory_order order, site at) {
  if (!world.is_inside()) {
    l.newest().value = value;
    return;
  }
  order = world.effective(order, at, step_kind::store);
  auto& t = world.me();
  auto record = [&](bool is_buffered) {
    if (!world.records()) return;
    world.record({.kind = step_kind::store,
                  .object = &l,
                  .before = l.newest().value,
                  .after = value,
                  .is_buffered = is_buffered,
                  .order = static_cast<int>(order),
                  .line = at.line(),
                  .file = at.file_name()});
  };
  if (world.is_mutated(at, mutation::kind::drop_store)) return;
  if (world.is_tso() && order != std::memory_order_seq_cst) {
    t.at = at;
    world.check_live(l.life);
    if (t.buffered == most_buffered) world.flush(buffer_of(world.self()));
    t.happens.tick(world.self());
    world.order_of(world.self()).tick(world.self());
    t.buffer[(t.first + t.buffered++) % most_buffered] = {
        &l, make_store(value, order), world.order_of(world.self()), at};
    record(true);
    return;
  }
  world.begin_ordered_step(step_kind::store, &l, at);
  world.access(l, world.self(), execution::use::write);
  record(false);
  world.commit(l, make_store(value, order));
}

std::uint64_t modify(location& l, change_fn change, const void* context,
                     std::memory_order order, site at) {
  if (!world.is_inside()) {
    return std::exchange(l.newest().value, change(l.newest().value, context));
  }
  order = world.effective(order, at, step_kind::modify);
  if (world.is_mutated(at, mutation::kind::load_for_rmw)) return load(l, order, at);
  world.begin_ordered_step(step_kind::modify, &l, at);
  world.access(l, world.self(), execution::use::write);
  stored before = l.newest();
  if (acquires(order)) world.me().happens.join(before.release);
  stored after = make_store(change(before.value, context), order);
  after.release.join(before.release);  // a release sequence goes on
  if (world.records())
    world.record({.kind = step_kind::modify,
                  .object = &l,
                  .before = before.value,
                  .after = after.value,
                  .order = static_cast<int>(order),
                  .line = at.line(),
                  .file = at.file_name()});
  world.commit(l, after);
  return before.value;
}

bool compare_exchange(location& l, std::uint64_t& expected, std::uint64_t to,
                      std::memory_order success, std::memory_order failed, bool weak,
                      site at) {
  if (!world.is_inside()) {
    if (l.newest().value == expected) return l.newest().value = to, true;
    return expected = l.newest().value, false;
  }
  success = world.effective(success, at, step_kind::compare_exchange);
  failed = world.effective(failed, at, step_kind::load);
  world.begin_ordered_step(step_kind::compare_exchange, &l, at);
  world.access(l, world.self(), execution::use::write);
  stored before = l.newest();
  bool swaps = before.value == expected;
  if (swaps && weak && world.how().weak_failures) {
    untracked_scope own;
    swaps = world.by().choose(2, false) == 0;
  }
  auto& t = world.me();
  if (acquires(swaps ? success : failed)) t.happens.join(before.release);
  if (world.records())
    world.record({.kind = step_kind::compare_exchange,
                  .object = &l,
                  .before = before.value,
                  .after = to,
                  .succeeded = swaps,
                  .is_spurious = !swaps && before.value == expected,
                  .order = static_cast<int>(swaps ? success : failed),
                  .line = at.line(),
                  .file = at.file_name()});
  if (!swaps) {
    l.reads[world.self()] = {l.newest_number, t.happens.of(world.self())};
    expected = before.value;
    return false;
  }
  stored after = make_store(to, success);
  after.release.join(before.release);
  world.commit(l, after);
  return true;
}

void fence(site at) {
  if (!world.is_inside()) return;
  world.begin_ordered_step(step_kind::fence, nullptr, at);
  world.access(world.fences_location, world.self(), execution::use::write);
  auto& happens = world.me().happens;
  happens.join(world.fences);
  world.fences.join(happens);
  if (world.records())
    world.record({.kind = step_kind::fence, .line = at.line(), .file = at.file_name()});
}

void forget(const location& l) noexcept {
  if (!world.is_inside() || !world.is_tso()) return;
  auto& t = world.me();
  for (unsigned i = 0; i < t.buffered; ++i) {
    auto& own = t.buffer[(t.first + i) % most_buffered];
    if (own.to == &l) own.to = nullptr;
  }
}

// --- plain data ----------------------------------------------------------------------
//
// No step of its own: without a race its place among other threads' steps is fixed by
// theirs. A stamp is that of the thread's next step, whose release publishes the access.

namespace {

bool is_current(const plain_location& l) {
  if (!l.life.is_live()) {
    world.record_object(&l);
    fail(failure::memory, "plain data used after its end", world.me().at);
  }
  return l.execution == world.number();
}

[[gnu::cold]] void race_on(const plain_location& l, trace::access with,
                           const char* what) {
  world.record_object(&l, with);
  fail(failure::race,
       std::string(what) + static_cast<char>('A' + with.by) + ", and nothing orders them",
       world.me().at);
}

}  // namespace

void plain_read(const plain_location& l) {
  if (!world.is_inside()) return;
  if (world.records()) world.record({.kind = step_kind::plain_read, .object = &l});
  if (!is_current(l)) return;
  const auto& happens = world.me().happens;
  agent me = world.self();
  if (l.write_stamp != 0 && l.writer != me && !happens.knows(l.writer, l.write_stamp)) {
    race_on(l, {l.writer, step_kind::plain_write},
            "plain data is read here and written by ");
  }
  const_cast<plain_location&>(l).read_stamps[me] =
      static_cast<std::uint16_t>(happens.of(me) + 1);
}

void plain_write(plain_location& l) {
  if (!world.is_inside()) return;
  if (world.records()) world.record({.kind = step_kind::plain_write, .object = &l});
  agent me = world.self();
  const auto& happens = world.me().happens;
  if (is_current(l)) {
    if (l.write_stamp != 0 && l.writer != me && !happens.knows(l.writer, l.write_stamp)) {
      race_on(l, {l.writer, step_kind::plain_write},
              "plain data is written here and by ");
    }
    for (agent t = 0; t < world.size(); ++t) {
      if (t != me && l.read_stamps[t] != 0 && !happens.knows(t, l.read_stamps[t])) {
        race_on(l, {t, step_kind::plain_read}, "plain data is written here and read by ");
      }
    }
  }
  l.execution = world.number();
  l.read_stamps = {};
  l.writer = static_cast<std::uint8_t>(me);
  l.write_stamp = static_cast<std::uint16_t>(happens.of(me) + 1);
}

}  // namespace duel::explore
