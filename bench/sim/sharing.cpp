// sharing.cpp - processor sharing: threads under a fair kernel. All jobs of a station get
// the same speed, at most one core each.
//
// A station's clock counts the time that each of its jobs has run; a job ends when the
// clock shows what it showed at its start plus the demand.
#include <algorithm>

#include "bench/sim/engine.hpp"

namespace duel::sim {

namespace {

class sharing final : public policy {
 public:
  sharing(const setup& s, engine& e)
      : engine_(e),
        cost_(s.cost),
        cores_(s.policy == policy_kind::sharing ? s.cores : 1),
        stations_(s.cores / cores_) {}

  void offer(job_id j) override {
    auto& it = engine_.jobs()[j];
    auto where = stations_.size() == 1 ? 0 : it.home;
    auto& s = stations_[where];
    bring_up(s);
    double overhead = it.is_remote ? cost_.hop : 0;
    if (s.jobs.size() < cores_) {
      ++engine_.seen().wakes;
      overhead += cost_.wake;
    }
    spend(where, it.demand, overhead);
    s.jobs.push_back({s.clock + it.demand + overhead, s.next_number++, j});
    std::ranges::push_heap(s.jobs, std::greater());
    if (!s.is_completing) plan(where);
  }

  void on_timer(std::uint32_t where, std::uint64_t ticket) override {
    auto& s = stations_[where];
    if (ticket != s.ticket) return;
    bring_up(s);
    // Exactly: rounding must not leave a rest that takes no time.
    s.clock = s.jobs.front().end;
    auto done = s.jobs.front().job;
    std::ranges::pop_heap(s.jobs, std::greater());
    s.jobs.pop_back();
    s.is_completing = true;
    engine_.complete(done);
    s.is_completing = false;
    plan(where);
  }

 private:
  struct running {
    double end;  // on the station's clock
    std::uint64_t number;
    job_id job;
    auto operator<=>(const running&) const = default;
  };

  struct station {
    double clock = 0, brought_up = 0;
    std::uint64_t next_number = 0, ticket = ~std::uint64_t{0};
    bool is_completing = false;
    std::vector<running> jobs;  // a heap, the first to end in front
  };

  [[nodiscard]] double speed(const station& s) const {
    return std::min(1.0, cores_ / static_cast<double>(s.jobs.size()));
  }

  void bring_up(station& s) {
    if (!s.jobs.empty()) s.clock += (engine_.now() - s.brought_up) * speed(s);
    s.brought_up = engine_.now();
  }

  void plan(std::uint32_t where) {
    auto& s = stations_[where];
    s.ticket = ~std::uint64_t{0};
    if (s.jobs.empty()) return;
    double left = std::max(0.0, s.jobs.front().end - s.clock);
    s.ticket = engine_.set_timer(left / speed(s), where);
  }

  void spend(std::uint32_t where, double demand, double overhead) {
    if (stations_.size() > 1) return engine_.spend(where, demand, overhead);
    for (std::uint32_t core = 0; core < cores_; ++core) {
      engine_.spend(core, demand / cores_, overhead / cores_);
    }
  }

  engine& engine_;
  costs cost_;
  unsigned cores_;  // of a station
  std::vector<station> stations_;
};

}  // namespace

std::unique_ptr<policy> make_sharing_policy(const setup& s, engine& e) {
  return std::make_unique<sharing>(s, e);
}

}  // namespace duel::sim
