// queued_policies.cpp - policies of queues that nobody steals from: central, partitioned,
// jsq-accept, jsq-request, reserved.
#include <algorithm>

#include "bench/sim/engine.hpp"

namespace duel::sim {

namespace {

// Cores that run one job at a time, to its end.
class run_to_completion : public policy {
 public:
  run_to_completion(const setup& s, engine& e)
      : cost_(s.cost), engine_(e), running_(s.cores, none) {}

  // The core counts as busy until its next job is known: what complete() offers queues up
  // behind those that wait already.
  void on_timer(std::uint32_t core, std::uint64_t) final {
    engine_.complete(running_[core]);
    auto next = take(core);
    running_[core] = next;
    if (next == none) return set_idle(core);
    run(core, next, 0);
  }

 protected:
  virtual job_id take(std::uint32_t core) = 0;  // from a queue, or none
  virtual void set_idle(std::uint32_t /*core*/) {}
  // CPU time that handing `j` to its core takes.
  virtual double hand_over(const job& j) { return j.is_remote ? cost_.hop : 0; }

  [[nodiscard]] bool is_idle(std::uint32_t core) const { return running_[core] == none; }
  job_pool& jobs() { return engine_.jobs(); }

  void start(std::uint32_t core, job_id j) {
    running_[core] = j;
    ++engine_.seen().wakes;
    run(core, j, cost_.wake);
  }

  costs cost_;
  engine& engine_;

 private:
  void run(std::uint32_t core, job_id j, double wake) {
    const auto& it = jobs()[j];
    double overhead = wake + hand_over(it);
    engine_.spend(core, it.demand, overhead);
    engine_.set_timer(it.demand + overhead, core);
  }

  std::vector<job_id> running_;
};

// An idle core takes the oldest job of all.
class central : public run_to_completion {
 public:
  central(const setup& s, engine& e) : run_to_completion(s, e) {
    for (auto core = s.cores; core > 0;) idle_.push_back(--core);
  }

  void offer(job_id j) override {
    if (idle_.empty()) return queue_.push(jobs(), j);
    auto core = idle_.back();
    idle_.pop_back();
    start(core, j);
  }

 protected:
  job_id take(std::uint32_t) override {
    return queue_.is_empty() ? none : queue_.pop(jobs());
  }
  void set_idle(std::uint32_t core) override { idle_.push_back(core); }

 private:
  job_queue queue_;
  std::vector<std::uint32_t> idle_;  // used last, taken first
};

// A queue for each core.
class per_core : public run_to_completion {
 public:
  per_core(const setup& s, engine& e) : run_to_completion(s, e), queues_(s.cores) {}

  void offer(job_id j) override {
    auto core = choose(jobs()[j]);
    if (is_idle(core)) return start(core, j);
    queues_[core].push(jobs(), j);
  }

 protected:
  virtual std::uint32_t choose(const job& j) { return j.home; }
  job_id take(std::uint32_t core) override {
    return queues_[core].is_empty() ? none : queues_[core].pop(jobs());
  }

  std::vector<job_queue> queues_;
};

// Each request joins the core with the fewest jobs; among equals from a random one on.
class shortest_queue final : public per_core {
 public:
  using per_core::per_core;

 protected:
  std::uint32_t choose(const job&) override {
    auto count = static_cast<std::uint32_t>(queues_.size());
    auto first = engine_.decisions().below(count);
    auto best = first;
    for (std::uint32_t i = 0; i < count && length(best) > 0; ++i) {
      auto core = (first + i) % count;
      if (length(core) < length(best)) best = core;
    }
    return best;
  }
  double hand_over(const job&) override { return cost_.hop; }

 private:
  [[nodiscard]] std::size_t length(std::uint32_t core) const {
    return queues_[core].size() + (is_idle(core) ? 0 : 1);
  }
};

// The first cores run short requests only; the others run what came first, short or long.
class reserved final : public run_to_completion {
 public:
  reserved(const setup& s, engine& e)
      : run_to_completion(s, e),
        limit_(s.short_limit + s.cost.request),
        reserved_(s.reserved),
        cores_(s.cores) {}

  void offer(job_id j) override {
    bool is_short = jobs()[j].demand <= limit_;
    for (auto core = is_short ? 0 : reserved_; core < cores_; ++core) {
      if (is_idle(core)) return start(core, j);
    }
    (is_short ? short_ : long_).push(jobs(), j);
  }

 protected:
  job_id take(std::uint32_t core) override {
    bool may_take_long = core >= reserved_ && !long_.is_empty();
    if (short_.is_empty()) return may_take_long ? long_.pop(jobs()) : none;
    bool is_long_first =
        may_take_long && jobs()[long_.front()].number < jobs()[short_.front()].number;
    return (is_long_first ? long_ : short_).pop(jobs());
  }
  double hand_over(const job&) override { return cost_.hop; }

 private:
  double limit_;
  std::uint32_t reserved_, cores_;
  job_queue short_, long_;
};

}  // namespace

std::unique_ptr<policy> make_queued_policy(const setup& s, engine& e) {
  switch (s.policy) {
    case policy_kind::jsq_request:
      return std::make_unique<shortest_queue>(s, e);
    case policy_kind::reserved:
      return std::make_unique<reserved>(s, e);
    case policy_kind::partitioned:
    case policy_kind::jsq_accept:
      return std::make_unique<per_core>(s, e);
    default:
      return std::make_unique<central>(s, e);
  }
}

}  // namespace duel::sim
