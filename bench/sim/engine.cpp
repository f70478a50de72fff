#include "bench/sim/engine.hpp"

#include <algorithm>
#include <numeric>

namespace duel::sim {

namespace {

random_stream stream(const setup& s, std::uint64_t index, random_stream::purpose what) {
  return {s.seed, index, what};
}

}  // namespace

std::unique_ptr<policy> make_policy(const setup& s, engine& e) {
  if (steals(s.policy)) return make_stealing_policy(s, e);
  if (s.policy == policy_kind::sharing || s.policy == policy_kind::shard_sharing) {
    return make_sharing_policy(s, e);
  }
  return make_queued_policy(s, e);
}

engine::engine(const setup& s, std::uint64_t index)
    : given_(s),
      arrivals_(stream(s, index, random_stream::purpose::arrivals)),
      service_(stream(s, index, random_stream::purpose::service)),
      placement_(stream(s, index, random_stream::purpose::placement)),
      decisions_(stream(s, index, random_stream::purpose::decisions)),
      connections_(s, placement_),
      busy_(s.cores),
      policy_(make_policy(s, *this)) {}

replication engine::run() {
  begin();
  while (!events_.is_empty()) {
    auto next = events_.take();
    ++seen_.events;
    // No time passes for what no longer comes.
    if (next.what != event::kind::timer && !has_more()) continue;
    pass_time(next.at);
    switch (next.what) {
      case event::kind::arrival:
        let_in(next.who);
        break;
      case event::kind::request:
        arrive(next.who);
        break;
      case event::kind::timer:
        policy_->on_timer(next.who, next.number);
        break;
    }
  }
  finish();
  return seen_;
}

void engine::begin() {
  if (!given_.is_closed()) {
    if (given_.arrivals.is_uniform() && !connections_.is_empty()) {
      return expect_even_streams();
    }
    events_.add(given_.arrivals.gap(given_.rate, arrivals_), event::kind::arrival, none);
    return;
  }
  for (std::uint32_t i = 0; i < given_.connections; ++i) {
    events_.add(arrivals_.exponential(given_.think), event::kind::request, i);
  }
}

// Each connection is even by itself, as in duel-load: with equal rates they come in turn,
// else each begins somewhere in its gap.
void engine::expect_even_streams() {
  for (std::uint32_t i = 0; i < given_.connections; ++i) {
    double first = given_.zipf == 0
                       ? i / given_.rate
                       : arrivals_.uniform() / (given_.rate * connections_.share(i));
    events_.add(first, event::kind::arrival, i);
  }
}

void engine::let_in(std::uint32_t connection) {
  bool is_drawn = connection == none && !connections_.is_empty();
  arrive(is_drawn ? connections_.draw(placement_) : connection);
  double gap = connection == none ? given_.arrivals.gap(given_.rate, arrivals_)
                                  : 1 / (given_.rate * connections_.share(connection));
  events_.add(now_ + gap, event::kind::arrival, connection);
}

// Load goes on until all measured requests are answered: the last ones must not find an
// emptying system. Where that takes too long, the system cannot keep up anyway.
bool engine::has_more() const noexcept {
  return seen_.measured < given_.jobs && seen_.arrived < given_.warmup + 2 * given_.jobs;
}

void engine::arrive(std::uint32_t connection) {
  job arrived{.number = seen_.arrived++,
              .arrived = now_,
              .demand = given_.cost.request + given_.service.draw(service_),
              .connection = connection,
              .home = connection == none ? placement_.below(given_.cores)
                                         : connections_.home(connection),
              .is_remote = given_.remote > 0 && placement_.uniform() <= given_.remote,
              .next = none};
  if (arrived.number == given_.warmup) window_begin_ = now_;
  if (arrived.number == given_.warmup + given_.jobs - 1) window_end_ = now_;
  seen_.demand_sum += arrived.demand;
  ++in_system_;
  auto j = jobs_.add(arrived);
  if (connection == none || connections_.admit(connection, jobs_, j)) policy_->offer(j);
}

void engine::complete(job_id id) {
  auto done = jobs_[id];
  jobs_.remove(id);
  --in_system_;
  ++seen_.completed;
  record(done);
  if (done.connection == none) return;
  auto next = connections_.after(done.connection, jobs_);
  if (next != none) policy_->offer(next);
  if (given_.is_closed()) {
    events_.add(now_ + arrivals_.exponential(given_.think), event::kind::request,
                done.connection);
  }
}

void engine::pass_time(double until) noexcept {
  seen_.area += static_cast<double>(in_system_) * (until - now_);
  now_ = until;
}

void engine::record(const job& j) noexcept {
  double response = now_ - j.arrived;
  seen_.response_sum += response;
  bool has_begun = seen_.arrived > given_.warmup;
  if (has_begun && window_end_ < 0) ++completed_in_window_;
  if (!is_measured(j.number)) return;
  times_.add(response);
  int half = j.number >= given_.warmup + given_.jobs / 2;
  half_sums_[half] += response;
  ++half_counts_[half];
  ++seen_.measured;
}

void engine::finish() noexcept {
  auto& s = seen_;
  s.duration = now_;
  s.mean = (half_sums_[0] + half_sums_[1]) / static_cast<double>(s.measured);
  s.first_half = half_sums_[0] / static_cast<double>(half_counts_[0]);
  s.second_half = half_sums_[1] / static_cast<double>(half_counts_[1]);
  s.p50 = times_.quantile(0.5);
  s.p90 = times_.quantile(0.9);
  s.p99 = times_.quantile(0.99);
  s.p999 = times_.quantile(0.999);
  double window = window_end_ - window_begin_;
  s.achieved = static_cast<double>(completed_in_window_) / window;
  s.offered = static_cast<double>(given_.jobs - 1) / window;
  s.busy_sum = std::accumulate(busy_.begin(), busy_.end(), 0.0);
  s.busiest = std::ranges::max(busy_);
}

}  // namespace duel::sim
