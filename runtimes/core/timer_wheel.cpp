#include "runtimes/core/timer_wheel.hpp"

#include <algorithm>
#include <bit>

#include "runtimes/core/config.hpp"

namespace duel {

namespace {
constexpr auto tick_length = std::chrono::milliseconds(1);
}

// Rounds up: a timer must not fire before its time.
std::uint64_t timer_wheel::tick_at_or_after(time_point t) const noexcept {
  if (t <= start_) return 0;
  return static_cast<std::uint64_t>((t - start_ + tick_length - duration(1)) /
                                    tick_length);
}

void timer_wheel::insert(timer& t, time_point when) noexcept {
  DUEL_ASSERT(!t.is_linked());
  t.when = when;
  ++size_;
  file(t, tick_at_or_after(when));
}

void timer_wheel::file(timer& t, std::uint64_t tick) noexcept {
  constexpr std::uint64_t horizon = (std::uint64_t{1} << (bits * levels)) - 1;
  tick = std::clamp(tick, elapsed_ + 1, elapsed_ + horizon);
  // The horizon may carry into a bit above the top level; the nearest slot there will do.
  unsigned highest = 63 - static_cast<unsigned>(std::countl_zero(tick ^ elapsed_));
  t.level = std::min(highest / bits, levels - 1);
  t.slot = static_cast<unsigned>(tick >> (t.level * bits)) % slots;
  auto& level = level_[t.level];
  level.slot[t.slot].push_back(t);
  level.occupied |= std::uint64_t{1} << t.slot;
}

void timer_wheel::remove(timer& t) noexcept {
  if (!t.is_linked()) return;
  t.unlink();
  --size_;
  auto& level = level_[t.level];
  if (level.slot[t.slot].empty()) level.occupied &= ~(std::uint64_t{1} << t.slot);
}

// The occupied slot that comes first. Lower levels always come before higher ones,
// because a timer is filed no higher than it must be.
bool timer_wheel::next_slot(position& found) const noexcept {
  for (unsigned l = 0; l < levels; ++l) {
    if (level_[l].occupied == 0) continue;
    unsigned shift = l * bits, now = static_cast<unsigned>(elapsed_ >> shift) % slots;
    auto ahead = static_cast<unsigned>(
        std::countr_zero(std::rotr(level_[l].occupied, static_cast<int>(now))));
    // Slot `now` itself means a whole turn ahead: what it held for this turn has been
    // filed.
    if (ahead == 0) {
      auto rest =
          std::rotr(level_[l].occupied, static_cast<int>(now)) & ~std::uint64_t{1};
      ahead = rest ? static_cast<unsigned>(std::countr_zero(rest)) : slots;
    }
    std::uint64_t tick = ((elapsed_ >> shift) + ahead) << shift;
    found = {l, (now + ahead) % slots, tick};
    return true;
  }
  return false;
}

time_point timer_wheel::next_event() const noexcept {
  position p;
  if (!next_slot(p)) return never;
  return start_ + tick_length * static_cast<std::int64_t>(p.tick);
}

void timer_wheel::advance(time_point now) noexcept {
  if (now < start_) return;
  auto target = static_cast<std::uint64_t>((now - start_) / tick_length);
  position p;
  while (next_slot(p) && p.tick <= target) {
    elapsed_ = p.tick;
    intrusive_list<timer> due;
    due.splice_back(level_[p.level].slot[p.slot]);
    level_[p.level].occupied &= ~(std::uint64_t{1} << p.slot);
    while (timer* t = due.pop_front()) {
      time_point again = t->when <= now ? t->fire(*t, now) : t->when;
      if (again == never) {
        --size_;
      } else {
        t->when = again;
        file(*t, tick_at_or_after(again));
      }
    }
  }
  elapsed_ = std::max(elapsed_, target);
}

}  // namespace duel
