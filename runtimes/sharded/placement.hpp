// placement.hpp - which shard a new connection goes to.
//
// reuseport: the kernel's hash decides, for every shard listens; nothing here is asked.
// Otherwise one shard accepts for all and asks here. A connection is open from when it
// was placed until its home has counted it `closed`, so those on their way count as well.
#pragma once

#include <cstdint>
#include <vector>

#include "runtimes/core/counters.hpp"
#include "runtimes/core/sync.hpp"

namespace duel::sharded {

enum class accept_policy { reuseport, least_loaded, round_robin };

class placement {
 public:
  placement(accept_policy how, std::vector<const counters*> shards)
      : how_(how), shards_(std::move(shards)), placed_(shards_.size()) {}

  [[nodiscard]] bool is_asked() const noexcept {
    return how_ != accept_policy::reuseport;
  }

  // Any shard; of two at the same time neither sees the other's choice.
  [[nodiscard]] unsigned next() noexcept {
    unsigned to = how_ == accept_policy::least_loaded ? least_loaded() : turn_++ % size();
    placed_[to].fetch_add(1, std::memory_order_relaxed);  // relaxed: a statistic
    return to;
  }

 private:
  [[nodiscard]] unsigned size() const noexcept {
    return static_cast<unsigned>(shards_.size());
  }
  // The first of those with the fewest.
  [[nodiscard]] unsigned least_loaded() const noexcept {
    unsigned best = 0;
    for (unsigned i = 1; i < size(); ++i) {
      if (open(i) < open(best)) best = i;
    }
    return best;
  }
  // Signed: another shard's placing may be seen later than the end of what it placed.
  [[nodiscard]] std::int64_t open(unsigned i) const noexcept {
    auto placed = placed_[i].load(std::memory_order_relaxed);  // relaxed: as above
    return static_cast<std::int64_t>(placed - shards_[i]->get(counter::closed));
  }

  const accept_policy how_;
  const std::vector<const counters*> shards_;
  std::vector<sync::atomic<std::uint64_t>> placed_;
  sync::atomic<unsigned> turn_{0};
};

}  // namespace duel::sharded
