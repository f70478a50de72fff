// Random histories of a shard's run queue and of a mailbox against plain deques.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <deque>
#include <vector>

#include "runtimes/core/test_token.hpp"
#include "runtimes/sharded/mailbox.hpp"
#include "runtimes/sharded/run_queue.hpp"

namespace duel::sharded {
namespace {

// Above zero: so many are pushed; else so many are popped, if there are.
RC_GTEST_PROP(run_queue, keeps_to_its_model, (const std::vector<std::int8_t>& steps)) {
  run_queue queue;
  std::deque<test_token> tokens;
  std::deque<task*> model;
  for (int step : steps) {
    for (; step > 0; --step) {
      queue.push(tokens.emplace_back());
      model.push_back(&tokens.back());
    }
    for (; step < 0 && !model.empty(); ++step) {
      RC_ASSERT(&queue.pop() == model.front());
      model.pop_front();
    }
    RC_ASSERT(queue.size() == model.size());
    RC_ASSERT(queue.empty() == model.empty());
  }
}

// The sender's steps fall between the receiver's: before a drain, and inside of it while
// a message is in hand. Each number is how many messages are pushed at such a moment.
template <std::uint32_t Capacity>
void exchange(const std::vector<std::vector<std::uint8_t>>& rounds) {
  basic_mailbox<Capacity> box;
  std::deque<std::uintptr_t> model;  // pushed and not yet handled
  std::uintptr_t sent = 0;
  bool right = true;  // drain() is noexcept: what happens inside is judged after it
  for (const auto& round : rounds) {
    auto moment = round.begin();
    auto push_some = [&] {
      if (moment == round.end()) return;
      for (unsigned count = *moment++ % (Capacity + 2); count > 0; --count) {
        bool fits = model.size() < Capacity;
        right &= box.push({nullptr, reinterpret_cast<void*>(sent)}) == fits;
        if (fits) model.push_back(sent++);
        right &= !box.all_handled();
      }
    };
    push_some();
    auto here = model.size();
    RC_ASSERT(box.all_handled() == model.empty());
    auto handled = box.drain([&](message m) {
      right &= reinterpret_cast<std::uintptr_t>(m.what) == model.front();
      right &= !box.all_handled();
      push_some();
      model.pop_front();
    });
    RC_ASSERT(handled == here);
    RC_ASSERT(right);
    RC_ASSERT(box.all_handled() == model.empty());
  }
}

RC_GTEST_PROP(mailbox, of_four_keeps_to_its_model,
              (const std::vector<std::vector<std::uint8_t>>& rounds)) {
  exchange<4>(rounds);
}
RC_GTEST_PROP(mailbox, of_sixteen_keeps_to_its_model,
              (const std::vector<std::vector<std::uint8_t>>& rounds)) {
  exchange<16>(rounds);
}

}  // namespace
}  // namespace duel::sharded
