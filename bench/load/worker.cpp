#include "bench/load/worker.hpp"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "bench/load/own_limits.hpp"

namespace duel::load {

namespace {

constexpr std::size_t connecting_at_once = 64;  // kind to the server's backlog
constexpr ns retry_after = second / 20;
constexpr ns sweep_every = second / 10;  // also how soon a signal is noticed
constexpr ns slice = second / 10'000;    // the shortest there is
constexpr ns listen_for = second / 50;   // for an answer too many, once all have come

}  // namespace

worker::worker(const options& o, const exchange& talk, std::size_t index,
               const std::vector<double>& shares)
    : o_(o), all_(o, talk), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  for (auto number = index; number < o.connections; number += o.threads) {
    slots_.emplace_back(all_, number, shares[number]);
    slots_.back().index = slots_.size() - 1;
  }
}

worker::~worker() {
  ::close(epoll_);
}

void worker::run(const std::atomic<bool>& stop) {
  ::prctl(PR_SET_TIMERSLACK, 1);  // or every wait may be 50 us longer
  // A schedule is to be kept beside a server that computes on the same CPUs. In the
  // closed loop, with pauses too, a right of way would be part of what it measures.
  if (o_.is_open_loop()) slice_ = ask_for_slice(slice);
  connect_all(stop);
  established_ = static_cast<std::size_t>(
      std::ranges::count(slots_, false, [](slot& s) { return s.given_up; }));
  is_connected = true;
  is_connected.notify_one();
  may_start.wait(false);
  all_.when = when;
  if (all_.when.start == never) return;
  load(stop);
  cool_down(stop);
  for (slot& s : slots_) s.talk.close();
}

void worker::connect_all(const std::atomic<bool>& stop) {
  ns deadline = now() + o_.connect_timeout;
  auto fresh = slots_.begin();
  auto missing = [this] {
    return std::ranges::count_if(
        slots_, [](slot& s) { return s.talk.state() != connection::phase::open; });
  };
  while (!stop && now() < deadline) {
    for (; fresh != slots_.end() && connecting_ < connecting_at_once; ++fresh) {
      connect(*fresh);
    }
    if (fresh == slots_.end() && missing() == 0) return;
    turn(std::min(deadline, now() + sweep_every));
  }
  for (slot& s : slots_) {  // the experiment is the one with those that are there
    s.given_up = s.talk.state() != connection::phase::open;
    if (s.given_up) s.talk.close();
  }
}

void worker::load(const std::atomic<bool>& stop) {
  while (now() < all_.when.start) turn(all_.when.start);
  is_loading_ = true;
  for (slot& s : slots_) {
    s.talk.start(all_.when.start);
    top_up(s, now());
  }
  cpu_meter meter;
  ns next_edge = all_.when.begin;
  for (;;) {
    ns at = now();
    if (stop && at < all_.when.end) all_.when.end = at;
    if (at >= next_edge && next_edge == all_.when.begin) {
      meter.start();
      next_edge = all_.when.end;
    }
    if (at >= all_.when.end) break;
    turn(std::min(next_edge, at + sweep_every));
  }
  use_ = meter.read();
  use_.slice = slice_;
  for (slot& s : slots_) {
    s.talk.finish(all_.when.end);
    records_.push_back(s.talk.record());
  }
}

void worker::cool_down(const std::atomic<bool>& stop) {
  is_over_ = true;
  ns deadline = now() + o_.cooldown, quiet_until = never;
  auto is_quiet = [this] {
    return std::ranges::none_of(
        slots_, [this](slot& s) { return s.talk.in_flight() > 0 || owes(s); });
  };
  while (!stop && now() < std::min(deadline, quiet_until)) {
    turn(std::min({deadline, quiet_until, now() + sweep_every}));
    if (quiet_until == never && is_quiet()) quiet_until = now() + listen_for;
  }
  ns end = now();
  for (slot& s : slots_) s.talk.censor(end);
}

// Handles what has come and what is due; waits until then for the first of it.
void worker::turn(ns until) {
  std::array<epoll_event, 64> events;
  ns at = now();
  if (!alarms_.empty()) until = std::min(until, alarms_.top().at);
  ns wait = std::max<ns>(until - at, 0);
  timespec patience{.tv_sec = wait / second, .tv_nsec = wait % second};
  int n = ::epoll_pwait2(epoll_, events.data(), events.size(), &patience, nullptr);
  ring_alarms(now());
  for (int i = 0; i < n; ++i) {
    auto tag = events[static_cast<std::size_t>(i)].data.u64;
    slot& s = slots_[tag & 0xffff'ffff];
    if (s.generation != tag >> 32) continue;
    handle(s, events[static_cast<std::size_t>(i)].events);
    // Those due in the meantime do not wait for the other connections.
    if (!alarms_.empty()) ring_alarms(now());
  }
  give_up_old(now());
}

void worker::handle(slot& s, unsigned events) {
  using phase = connection::phase;
  if (s.talk.state() == phase::closed) return;
  if (s.talk.state() == phase::connecting) {
    if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) return;
    --connecting_;
    if (int error = s.talk.settle()) return refused(s, error);
  } else if (events & EPOLLOUT) {
    s.talk.send_rest();
  }
  if (s.talk.state() == phase::open &&
      events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
    s.talk.receive(events);
  }
  top_up(s, now());
}

void worker::connect(slot& s) {
  ++s.generation;
  std::uint64_t tag = std::uint64_t{s.generation} << 32 | s.index;
  if (int error = s.talk.connect(epoll_, tag)) return refused(s, error);
  ++connecting_;
}

void worker::refused(slot& s, int error) {
  connect_error_ = error;
  if (is_own_limit(error)) {
    ++all_.counts.exhausted, all_.counts.exhausted_by = error;
  } else {
    all_.counts.count(fault::connect);
  }
  retry(s);
}

void worker::retry(slot& s) {
  s.waits = true;
  set_alarm(s, now() + retry_after);
}

// Has it something to send in the cool-down?
bool worker::owes(const slot& s) const {
  return o_.is_open_loop() && !s.given_up && s.talk.due() < all_.when.end;
}

// A connection that brought answers is renewed at once, or else nobody would be asked.
void worker::renew(slot& s) {
  if (s.given_up || s.waits || (is_over_ && !owes(s))) return;
  if (!s.talk.is_useful()) return retry(s);
  ++all_.counts.reconnects;
  connect(s);
}

void worker::top_up(slot& s, ns at) {
  using phase = connection::phase;
  bool may_send = is_loading_ && (at < all_.when.end || o_.is_open_loop());
  if (s.talk.state() == phase::open && may_send) {
    while (s.talk.has_room()) {
      ns due = s.talk.due();
      if (due >= all_.when.end) break;
      if (due > at) {
        set_alarm(s, due);
        break;
      }
      s.talk.push();
    }
    s.talk.flush();
  }
  if (s.talk.state() == phase::closed) renew(s);
}

void worker::set_alarm(slot& s, ns at) {
  if (s.alarm_at == at) return;
  s.alarm_at = at;
  alarms_.push({at, static_cast<std::uint32_t>(s.index)});
}

void worker::ring_alarms(ns at) {
  while (!alarms_.empty() && alarms_.top().at <= at) {
    slot& s = slots_[alarms_.top().which];
    bool counts = s.alarm_at == alarms_.top().at;
    alarms_.pop();
    if (!counts) continue;
    s.alarm_at = never, s.waits = false;
    if (s.talk.state() != connection::phase::closed) {
      top_up(s, at);
    } else if (!s.given_up && (!is_over_ || owes(s))) {
      all_.counts.reconnects += is_loading_;
      connect(s);
    }
  }
}

void worker::give_up_old(ns at) {
  if (o_.timeout == 0 || at < next_sweep_) return;
  next_sweep_ = at + sweep_every;
  for (slot& s : slots_) {
    s.talk.give_up(at);
    if (s.talk.state() == connection::phase::closed && is_loading_) renew(s);
  }
}

}  // namespace duel::load
