// mail.cpp - how a shard sends, receives, and is rung awake. The rings are in
// mailbox.hpp.
//
// A message goes into the ring of its pair of shards; if that is full, or older messages
// wait, into the sender's outbox, which is tried again every turn. So a sender never
// blocks, and messages of one pair arrive in order. Threads that are no shard share a
// locked inbox.
//
// Every 16th message to a shard carries the time when it was sent.
#include "runtimes/sharded/shard.hpp"

namespace duel::sharded {

namespace {
constexpr std::uint64_t timed_each = 16;
}  // namespace

void shard::post(shard& to, message m) noexcept {
  hold_work();
  if (counters_.get(counter::messages) % timed_each == 0) m.sent = ticks_now();
  counters_.add(counter::messages);
  auto& box = outbox_[to.index];
  if (!box.empty() || !to.from_[index].push(m)) {
    box.push_back(m);
    ++waiting_;
    return;
  }
  ring_after_mail(to);
}

void shard::ring_after_mail(shard& to) noexcept {
  if (!to.parking_.notify()) return;
  counters_.add(counter::wake_ups);
  to.driver_->interrupt_from(*driver_);
}

bool shard::send_waiting() noexcept {
  auto before = waiting_;
  for (auto& other : all.shards) {
    auto& box = outbox_[other->index];
    bool sent = false;
    while (!box.empty() && other->from_[index].push(box.front())) {
      box.pop_front();
      --waiting_;
      sent = true;
    }
    if (sent) ring_after_mail(*other);
  }
  return waiting_ < before;
}

bool shard::deliver_mail() noexcept {
  auto deliver = [this](message m) {
    if (m.sent > 0) time_message(m);
    m.deliver(*this, m.what);
  };
  std::uint32_t count = 0;
  for (unsigned i = 0; i < all.shards.size(); ++i) count += from_[i].drain(deliver);
  if (count > 0) counters_.add(counter::received, count);
  bool any = count > 0;
  std::vector<message> from_outside;
  {
    std::lock_guard lock(inbox_mutex_);
    from_outside.swap(inbox_);
  }
  for (message m : from_outside) deliver(m);
  if (waiting_ > 0) any |= send_waiting();
  return any || !from_outside.empty();
}

void shard::time_message(const message& m) noexcept {
  auto now = ticks_now();
  counters_.add(counter::timed);
  if (now > m.sent) counters_.add(counter::message_ns, scale_.to_ns(now - m.sent));
}

void shard::notify() noexcept {
  if (parking_.notify()) driver_->interrupt();
}

// The lock is held until the doorbell has been rung, so the driver is not destroyed
// meanwhile.
void shard::post_from_outside(message m) noexcept {
  std::lock_guard lock(inbox_mutex_);
  inbox_.push_back(m);
  notify();
}

}  // namespace duel::sharded
