#include "runtimes/explore/search.hpp"

#include <algorithm>
#include <bit>
#include <charconv>

namespace duel::explore {

namespace {
agent lowest(agent_set s) noexcept {
  return static_cast<agent>(std::countr_zero(s));
}
}  // namespace

void search::begin_depth_first(unsigned bound, bool is_reduced) {
  *this = {};
  how_ = strategy::depth_first;
  bound_ = bound;
  is_reduced_ = is_reduced;
  path_.reserve(1 << 14);
}

void search::begin_random(std::uint64_t seed, unsigned depth) {
  *this = {};
  how_ = strategy::random;
  random_.seed(seed);
  changes_ = depth > 0 ? depth - 1 : 0;
  path_.reserve(1 << 14);
}

bool search::begin_replay(std::string_view text) {
  *this = {};
  how_ = strategy::replay;
  path_.reserve(1 << 14);
  for (const char* at = text.data(); at != text.data() + text.size();) {
    const char* end = text.data() + text.size();
    change c{};
    auto number = std::from_chars(at, end, c.at);
    if (number.ec != std::errc() || number.ptr == end) return false;
    char kind = *number.ptr;
    at = number.ptr + 1;
    if (kind >= 'A' && kind < static_cast<char>('A' + max_threads)) {
      c.to = static_cast<std::uint16_t>(kind - 'A');
    } else if (kind >= 'a' && kind < static_cast<char>('a' + max_threads)) {
      c.to = static_cast<std::uint16_t>(buffer_of(static_cast<agent>(kind - 'a')));
    } else if (kind == 'v') {
      c.is_value = true;
      auto value = std::from_chars(at, end, c.to);
      if (value.ec != std::errc()) return false;
      at = value.ptr;
    } else {
      return false;
    }
    replay_.push_back(c);
    if (at != end && *at++ != '.') return false;
  }
  return true;
}

void search::begin_execution() {
  depth_ = 0;
  cost_ = 0;
  block_ = 0;
  step_ = 0;
  next_change_ = 0;
  misfit_ = false;
  if (how_ != strategy::depth_first) path_.clear();
  if (how_ != strategy::random) return;
  for (auto& p : priority_) p = static_cast<std::uint32_t>(random_() % 1'000'000) + 1000;
  change_at_.clear();
  for (unsigned i = 0; i < changes_; ++i) change_at_.push_back(random_() % longest_);
  std::ranges::sort(change_at_, std::greater());
}

agent search::pick(agent_set enabled, agent usual, agent_set costly, bool goes_on) {
  ++step_;
  if (how_ == strategy::depth_first && depth_ < path_.size()) {
    auto& d = path_[depth_++];
    cost_ = d.cost + (d.costly >> d.taken & 1);
    if (!goes_on || d.taken != usual) {
      if (!is_buffer(d.taken)) block_ = static_cast<std::int32_t>(depth_) - 1;
    }
    return d.taken;
  }
  agent chosen = usual;
  if (how_ == strategy::random) chosen = draw_agent(enabled);
  if (how_ == strategy::replay && next_change_ < replay_.size() &&
      replay_[next_change_].at == depth_) {
    chosen = replay_[next_change_++].to;
    if (replay_[next_change_ - 1].is_value || !(enabled & one(chosen))) {
      misfit_ = true;
      chosen = usual;
    }
  }
  decision d;
  d.enabled = enabled;
  d.usual = usual;
  d.costly = costly;
  d.taken = static_cast<std::uint16_t>(chosen);
  d.done = one(chosen);
  d.backtrack = is_reduced_ ? d.done : enabled;
  d.cost = static_cast<std::uint16_t>(cost_);
  d.came_in = block_;
  if ((!goes_on || chosen != usual) && !is_buffer(chosen)) {
    block_ = static_cast<std::int32_t>(depth_);
  }
  d.block = block_;
  cost_ += costly >> chosen & 1;
  path_.push_back(d);
  ++depth_;
  return chosen;
}

unsigned search::choose(unsigned count, bool is_free) {
  if (how_ == strategy::depth_first && depth_ < path_.size()) {
    auto& d = path_[depth_++];
    cost_ = d.cost + (!d.free && d.taken != 0);
    return d.taken;
  }
  unsigned chosen = 0;
  if (how_ == strategy::random && (is_free || random_() % 4 == 0)) {
    chosen = static_cast<unsigned>(random_() % count);
  }
  if (how_ == strategy::replay && next_change_ < replay_.size() &&
      replay_[next_change_].at == depth_) {
    auto asked = replay_[next_change_++];
    misfit_ = misfit_ || !asked.is_value || asked.to >= count;
    chosen = misfit_ ? 0 : asked.to;
  }
  decision d;
  d.count = static_cast<std::uint16_t>(count);
  d.taken = static_cast<std::uint16_t>(chosen);
  d.free = is_free;
  d.cost = static_cast<std::uint16_t>(cost_);
  d.block = block_;
  cost_ += !is_free && chosen != 0;
  path_.push_back(d);
  ++depth_;
  return chosen;
}

agent search::draw_agent(agent_set enabled) {
  auto best = [&](agent_set among) {
    agent top = lowest(among);
    for (agent_set rest = among; rest; rest &= rest - 1) {
      if (priority_[lowest(rest)] > priority_[top]) top = lowest(rest);
    }
    return top;
  };
  // A store buffer's delay is not a matter of priorities.
  agent_set threads = enabled & (one(max_threads) - 1);
  agent_set buffers = enabled & ~threads;
  if (buffers && (!threads || random_() % 4 == 0)) return lowest(buffers);
  if (!change_at_.empty() && step_ >= change_at_.back()) {
    priority_[best(threads)] = static_cast<std::uint32_t>(change_at_.size());
    change_at_.pop_back();
  }
  return best(threads);
}

bool search::next_execution() {
  if (how_ == strategy::random) return true;
  if (how_ == strategy::replay) return false;
  path_.resize(depth_);
  for (; !path_.empty(); path_.pop_back()) {
    auto& d = path_.back();
    if (d.enabled == 0) {
      bool affordable = d.free || d.cost < bound_;
      if (d.taken + 1 < d.count && affordable) return ++d.taken, true;
      if (d.taken + 1 < d.count) cut_ = true;
      continue;
    }
    agent_set left = d.backtrack & ~d.done;
    if (d.cost >= bound_ && (left & d.costly)) {
      cut_ = true;
      left &= ~d.costly;
    }
    if (left == 0) continue;
    d.taken = static_cast<std::uint16_t>(lowest(left));
    d.done |= one(d.taken);
    d.block =
        is_buffer(d.taken) ? d.came_in : static_cast<std::int32_t>(path_.size()) - 1;
    return true;
  }
  return false;
}

void search::want(decision& d, agent a) noexcept {
  if (d.enabled == 0) return;
  if (d.enabled & one(a)) {
    d.backtrack |= one(a);
  } else if (is_buffer(a) && (d.enabled & one(thread_of(a)))) {
    d.backtrack |= one(thread_of(a));  // its store is still to come
  } else {
    d.backtrack |= d.enabled;
  }
}

void search::race(std::int32_t at, agent later) {
  if (how_ != strategy::depth_first || at < 0) return;
  auto& d = path_[static_cast<std::size_t>(at)];
  want(d, later);
  if (d.block >= 0 && d.block != at)
    want(path_[static_cast<std::size_t>(d.block)], later);
}

std::string search::replay_string() const {
  std::string text;
  for (std::size_t i = 0; i < depth_; ++i) {
    const auto& d = path_[i];
    bool is_value = d.enabled == 0;
    if (d.taken == (is_value ? 0 : d.usual)) continue;
    if (!text.empty()) text += '.';
    text += std::to_string(i);
    if (is_value) {
      text += 'v' + std::to_string(d.taken);
    } else {
      text += static_cast<char>((is_buffer(d.taken) ? 'a' : 'A') + thread_of(d.taken));
    }
  }
  return text;
}

}  // namespace duel::explore
