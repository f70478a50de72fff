#include "bench/sim/connections.hpp"

#include <cmath>
#include <utility>

namespace duel::sim {

connection_table::connection_table(const setup& s, random_stream& random)
    : is_ordered_(s.is_ordered), zipf_(s.zipf), table_(s.connections) {
  share_out(s, random);
  if (s.zipf > 0) weigh();
}

// The busiest connections come first in the table, so least-connections needs a shuffle:
// who accepts does not know which one will be busy.
void connection_table::share_out(const setup& s, random_stream& random) {
  auto count = static_cast<std::uint32_t>(table_.size());
  for (std::uint32_t i = 0; i < count; ++i) {
    bool is_even = s.policy == policy_kind::jsq_accept;
    table_[i].home = is_even ? i % s.cores : random.below(s.cores);
  }
  for (std::uint32_t i = count; i > 1; --i) {
    std::swap(table_[i - 1].home, table_[random.below(i)].home);
  }
}

void connection_table::weigh() {
  auto count = table_.size();
  std::vector<double> weights(count);
  for (std::size_t i = 0; i < count; ++i) {
    weights_ += weights[i] = std::pow(static_cast<double>(i + 1), -zipf_);
  }
  chance_.assign(count, 1);
  alias_.resize(count);
  std::vector<std::uint32_t> small, large;
  for (std::uint32_t i = 0; i < count; ++i) {
    alias_[i] = i;
    weights[i] *= static_cast<double>(count) / weights_;
    (weights[i] < 1 ? small : large).push_back(i);
  }
  while (!small.empty() && !large.empty()) {
    auto poor = small.back(), rich = large.back();
    small.pop_back();
    chance_[poor] = weights[poor];
    alias_[poor] = rich;
    weights[rich] -= 1 - weights[poor];
    if (weights[rich] < 1) large.pop_back(), small.push_back(rich);
  }
}

std::uint32_t connection_table::draw(random_stream& random) const noexcept {
  auto column = random.below(static_cast<std::uint32_t>(table_.size()));
  if (chance_.empty()) return column;
  return random.uniform() <= chance_[column] ? column : alias_[column];
}

double connection_table::share(std::uint32_t connection) const noexcept {
  if (zipf_ == 0) return 1 / static_cast<double>(table_.size());
  return std::pow(static_cast<double>(connection + 1), -zipf_) / weights_;
}

bool connection_table::admit(std::uint32_t connection, job_pool& jobs,
                             job_id j) noexcept {
  auto& c = table_[connection];
  if (!is_ordered_) return true;
  if (c.is_busy) return c.waiting.push(jobs, j), false;
  return c.is_busy = true;
}

job_id connection_table::after(std::uint32_t connection, job_pool& jobs) noexcept {
  auto& c = table_[connection];
  if (!is_ordered_) return none;
  if (!c.waiting.is_empty()) return c.waiting.pop(jobs);
  c.is_busy = false;
  return none;
}

}  // namespace duel::sim
