// engine.hpp - one replication: requests arrive, a policy runs them, times are recorded.
//
// Single-threaded; replications run side by side (sweep.cpp). Begins and ends empty:
// after the last measured request no more arrive, so that what came in went out and
// Little's law holds exactly, not about.
#pragma once

#include "bench/sim/connections.hpp"
#include "bench/sim/event_queue.hpp"
#include "bench/sim/histogram.hpp"
#include "bench/sim/policy.hpp"

namespace duel::sim {

// What one replication saw. Over all of it, or over the measured requests where so said.
struct replication {
  double mean = 0, first_half = 0,
         second_half = 0;                      // response times of measured requests
  double p50 = 0, p90 = 0, p99 = 0, p999 = 0;  // the same
  double achieved = 0;  // requests a time unit while measured ones arrived
  double offered = 0;   // the same, of arrivals
  std::uint64_t arrived = 0, completed = 0, measured = 0;
  std::uint64_t steals = 0, stolen = 0, probes = 0, wakes = 0;
  double duration = 0;
  double area = 0;          // integral of the number in the system over time
  double response_sum = 0;  // of all requests
  double demand_sum = 0;
  double overhead_sum = 0;           // CPU time on wakes, steals, probes, hops
  double busy_sum = 0, busiest = 0;  // CPU time of all cores; of the one with most
  std::uint64_t events = 0;
};

class engine {
 public:
  engine(const setup& s, std::uint64_t index);
  replication run();

  // For policies.
  [[nodiscard]] double now() const noexcept { return now_; }
  [[nodiscard]] job_pool& jobs() noexcept { return jobs_; }
  [[nodiscard]] random_stream& decisions() noexcept { return decisions_; }
  [[nodiscard]] replication& seen() noexcept { return seen_; }
  std::uint64_t set_timer(double delay, std::uint32_t who) {
    return events_.add(now_ + delay, event::kind::timer, who);
  }
  void spend(std::uint32_t core, double demand, double overhead) noexcept {
    busy_[core] += demand + overhead;
    seen_.overhead_sum += overhead;
  }
  // `j` is answered and gone. May offer the next one of its connection.
  void complete(job_id j);

 private:
  void begin();
  // From `connection`, or from whichever is drawn if none; then the next.
  void let_in(std::uint32_t connection);
  void expect_even_streams();
  void arrive(std::uint32_t connection);
  [[nodiscard]] bool has_more() const noexcept;
  [[nodiscard]] bool is_measured(std::uint64_t number) const noexcept {
    return number >= given_.warmup && number < given_.warmup + given_.jobs;
  }
  void pass_time(double until) noexcept;
  void record(const job& j) noexcept;
  void finish() noexcept;

  setup given_;
  double now_ = 0;
  std::uint64_t in_system_ = 0;
  random_stream arrivals_, service_, placement_, decisions_;
  event_queue events_;
  job_pool jobs_;
  connection_table connections_;
  std::vector<double> busy_;
  histogram times_;
  double half_sums_[2] = {0, 0};
  std::uint64_t half_counts_[2] = {0, 0};
  double window_begin_ = 0, window_end_ = -1;
  std::uint64_t completed_in_window_ = 0;
  replication seen_;
  std::unique_ptr<policy> policy_;
};

}  // namespace duel::sim
