// Random histories of three rings, the inject queue and loose chains against plain
// deques: each task is in one place, and every queue gives them in the model's order.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <deque>
#include <ostream>
#include <vector>

#include "runtimes/core/test_token.hpp"
#include "runtimes/stealing/inject_queue.hpp"
#include "runtimes/stealing/run_queue.hpp"

namespace duel::stealing {
namespace {

constexpr std::size_t rings = 3;
enum class what { push, pop, steal, refill, give };

struct step {
  what kind;
  std::uint32_t ring, other, most;
};

std::ostream& operator<<(std::ostream& out, const step& s) {
  constexpr const char* names[] = {"push", "pop", "steal", "refill", "give"};
  return out << names[static_cast<int>(s.kind)] << " ring " << s.ring << " other "
             << s.other << " most " << s.most;
}

using line = std::deque<task*>;

task* take(line& from) {
  task* t = from.front();
  from.pop_front();
  return t;
}

template <std::uint32_t Capacity>
class history {
 public:
  void play(const std::vector<step>& steps) {
    for (const step& s : steps) {
      play(s);
      for (std::size_t i = 0; i < rings; ++i) {
        RC_ASSERT(ring_[i].size() == ring_model_[i].size());
        RC_ASSERT(ring_[i].room() == Capacity - ring_model_[i].size());
      }
      RC_ASSERT(inject_.size() == inject_model_.size());
      RC_ASSERT(inject_.empty() == inject_model_.empty());
    }
    drain();
  }

 private:
  void play(const step& s) {
    auto &ring = ring_[s.ring], &other = ring_[s.other];
    auto &model = ring_model_[s.ring], &other_model = ring_model_[s.other];
    switch (s.kind) {
      case what::push: {
        task& t = tokens_.emplace_back();
        if (model.size() == Capacity) {  // the older half stays
          while (model.size() > Capacity / 2) {
            inject_model_.push_back(model[Capacity / 2]);
            model.erase(model.begin() + Capacity / 2);
          }
          inject_model_.push_back(&t);
        } else {
          model.push_back(&t);
        }
        if (auto spilled = ring.push(t); !spilled.empty()) inject_.push(spilled);
        break;
      }
      case what::pop:
        if (model.empty()) {
          RC_ASSERT(ring.pop() == nullptr);
        } else {
          RC_ASSERT(ring.pop() == take(model));
        }
        break;
      case what::steal: {
        if (s.ring == s.other) break;
        std::size_t count = (other_model.size() + 1) / 2;
        count = std::min<std::size_t>(count, s.most);
        if (model.size() > Capacity / 2) count = 0;
        auto took = other.steal_into(ring, s.most);
        RC_ASSERT(took.count == count);
        if (count == 0) {
          RC_ASSERT(took.first == nullptr);
          break;
        }
        for (std::size_t i = 1; i < count; ++i) model.push_back(take(other_model));
        RC_ASSERT(took.first == take(other_model));
        break;
      }
      case what::refill: {  // a worker's batch: as much as its ring has room for
        auto most = std::min(s.most, ring.room());
        auto batch = inject_.pop(most);
        RC_ASSERT(batch.size() == std::min<std::size_t>(most, inject_model_.size()));
        while (task* t = batch.pop()) {
          RC_ASSERT(t == inject_model_.front());
          model.push_back(take(inject_model_));
          RC_ASSERT(ring.push(*t).empty());
        }
        RC_ASSERT(batch.empty());
        break;
      }
      default: {  // what::give: two chains that become one
        task_chain chain, tail;
        for (std::uint32_t i = 0; i < s.most; ++i) {
          task& t = tokens_.emplace_back();
          (i < s.other ? chain : tail).push(t);
          inject_model_.push_back(&t);
        }
        chain.append(tail);
        RC_ASSERT(tail.empty());
        RC_ASSERT(chain.size() == s.most);
        inject_.push(chain);
      }
    }
  }

  void drain() {
    for (std::size_t i = 0; i < rings; ++i) {
      while (!ring_model_[i].empty()) RC_ASSERT(ring_[i].pop() == take(ring_model_[i]));
      RC_ASSERT(ring_[i].pop() == nullptr);
    }
    auto rest = inject_.pop(tokens_.size() + 1);
    while (!inject_model_.empty()) RC_ASSERT(rest.pop() == take(inject_model_));
    RC_ASSERT(rest.pop() == nullptr);
  }

  std::deque<test_token> tokens_;  // every task there ever was: none is pushed twice
  std::array<basic_run_queue<Capacity>, rings> ring_;
  inject_queue inject_;
  std::array<line, rings> ring_model_;
  line inject_model_;
};

}  // namespace
}  // namespace duel::stealing

template <>
struct rc::Arbitrary<duel::stealing::step> {
  static Gen<duel::stealing::step> arbitrary() {
    using duel::stealing::rings;
    using duel::stealing::step;
    using duel::stealing::what;
    auto kind = gen::weightedElement<what>({{6, what::push},
                                            {3, what::pop},
                                            {3, what::steal},
                                            {1, what::refill},
                                            {1, what::give}});
    auto ring = gen::inRange<std::uint32_t>(0, rings);
    return gen::construct<step>(kind, ring, ring, gen::inRange<std::uint32_t>(0, 20));
  }
};

namespace duel::stealing {
namespace {

RC_GTEST_PROP(run_queue, of_four_keeps_to_its_model, (const std::vector<step>& steps)) {
  history<4>().play(steps);
}
RC_GTEST_PROP(run_queue, of_sixteen_keeps_to_its_model,
              (const std::vector<step>& steps)) {
  history<16>().play(steps);
}

}  // namespace
}  // namespace duel::stealing
