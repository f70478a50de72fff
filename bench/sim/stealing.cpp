// stealing.cpp - work stealing with the parking rules of our scheduler
// (runtimes/stealing/parking.hpp): at most half of the workers search, one is woken at a
// time and only while nobody searches, the last searcher to find work wakes the next.
#include <algorithm>

#include "bench/sim/engine.hpp"

namespace duel::sim {

namespace {

// Of our scheduler, in microseconds and counts.
constexpr double watch_for = 10'000;
constexpr unsigned events_a_poll = 64, maintenance_every = 61;

class stealing final : public policy {
 public:
  stealing(const setup& s, engine& e)
      : given_(s), engine_(e), count_(s.cores), workers_(s.cores) {
    for (auto id = count_; id > 0;) park(--id);
  }

  void offer(job_id j) override {
    if (given_.place == placement::poller) {
      kernel_.push(engine_.jobs(), j);
      if (turn_ != none) wake(turn_);
      return;
    }
    auto id = choose(engine_.jobs()[j]);
    if (given_.place == placement::reactor) {
      workers_[id].events.push(engine_.jobs(), j);
      if (workers_[id].is_parked()) wake(id);
      return;
    }
    workers_[id].queue.push(engine_.jobs(), j);
    ++queued_;
    if (workers_[id].is_parked()) return wake(id);
    wake_a_searcher();
  }

  void on_timer(std::uint32_t who, std::uint64_t) override {
    if (who >= count_) return end_watch(who - count_);
    auto& w = workers_[who];
    if (w.doing == state::searching) return probe(who);
    if (w.doing == state::running) engine_.complete(w.job);
    next(who);
  }

 private:
  enum class state { parked, waking, running, searching };

  struct worker {
    state doing = state::waking;
    bool is_searcher = false;
    job_id job = none;
    job_queue queue, events;  // events: of its own reactor, not yet polled
    std::uint32_t victim = 0, victims_left = 0;
    std::size_t place_in_parked = 0;
    unsigned tick = 0;
    [[nodiscard]] bool is_parked() const noexcept { return doing == state::parked; }
    [[nodiscard]] std::size_t length() const noexcept {
      return queue.size() + (doing == state::running ? 1 : 0);
    }
  };

  // Among equals from a random one on.
  std::uint32_t choose(const job& j) {
    if (given_.place == placement::home || given_.place == placement::reactor) {
      return j.home;
    }
    auto first = engine_.decisions().below(count_);
    auto best = first;
    for (std::uint32_t i = 1; i < count_ && given_.place == placement::shortest; ++i) {
      auto id = (first + i) % count_;
      if (workers_[id].length() < workers_[best].length()) best = id;
    }
    return best;
  }

  void next(std::uint32_t id) {
    auto& w = workers_[id];
    bool is_own = given_.place == placement::reactor;
    bool polls = is_own || given_.place == placement::poller;
    if (polls && ++w.tick % maintenance_every == 0) poll(id);
    if (is_own && w.queue.is_empty()) poll(id);  // own events before others' jobs
    if (w.queue.is_empty()) return begin_search(id);
    run_own(id);
  }

  void run_own(std::uint32_t id) { run(id, workers_[id].queue.pop(engine_.jobs()), 0); }

  void run(std::uint32_t id, job_id j, double overhead) {
    auto& w = workers_[id];
    w.doing = state::running;
    w.job = j;
    --queued_;
    if (w.is_searcher) {
      stop_searching(w);
      wake_a_searcher();
    }
    const auto& it = engine_.jobs()[w.job];
    engine_.spend(id, it.demand, overhead);
    engine_.set_timer(it.demand + overhead, id);
  }

  // --- searching ---

  void begin_search(std::uint32_t id) {
    auto& w = workers_[id];
    if (!w.is_searcher) {
      if (2 * searchers_ >= count_) return settle(id);
      w.is_searcher = true;
      ++searchers_;
    }
    w.victims_left = count_ - 1;
    w.victim = engine_.decisions().below(count_);
    if (w.victim == id) w.victim = after(id, id);
    bool is_futile = given_.cost.probe == 0 && queued_ == 0;
    if (w.victims_left == 0 || is_futile) return end_search(id);
    w.doing = state::searching;
    begin_probe(id);
  }

  void begin_probe(std::uint32_t id) {
    ++engine_.seen().probes;
    if (given_.cost.probe == 0) return probe(id);
    engine_.spend(id, 0, given_.cost.probe);
    engine_.set_timer(given_.cost.probe, id);
  }

  void probe(std::uint32_t id) {
    auto& w = workers_[id];
    if (!w.queue.is_empty()) return run_own(id);
    if (!workers_[w.victim].queue.is_empty()) return steal(id);
    w.victim = after(w.victim, id);
    if (--w.victims_left == 0) return end_search(id);
    begin_probe(id);
  }

  [[nodiscard]] std::uint32_t after(std::uint32_t victim, std::uint32_t thief) const {
    auto following = (victim + 1) % count_;
    return following == thief ? (following + 1) % count_ : following;
  }

  // Runs the youngest of them first, as run_queue::steal_into does.
  void steal(std::uint32_t id) {
    auto& from = workers_[workers_[id].victim].queue;
    bool takes_half = given_.policy == policy_kind::stealing;
    auto count = takes_half ? (from.size() + 1) / 2 : 1;
    ++engine_.seen().steals;
    engine_.seen().stolen += count;
    for (std::size_t i = 1; i < count; ++i) {
      workers_[id].queue.push(engine_.jobs(), from.pop(engine_.jobs()));
    }
    run(id, from.pop(engine_.jobs()),
        given_.cost.steal + given_.cost.hop * static_cast<double>(count));
  }

  void stop_searching(worker& w) {
    w.is_searcher = false;
    --searchers_;
  }

  void end_search(std::uint32_t id) {
    stop_searching(workers_[id]);
    settle(id);
  }

  // --- sleeping ---

  // The last look before sleep: nothing is left behind while nobody searches.
  void settle(std::uint32_t id) {
    if (searchers_ == 0 && queued_ > workers_[id].queue.size() && count_ > 1) {
      return begin_search(id);
    }
    if (given_.place == placement::reactor) poll(id);
    if (given_.place == placement::poller && turn_ == none) poll(id);
    if (!workers_[id].queue.is_empty()) return run_own(id);
    park(id);
  }

  void park(std::uint32_t id) {
    auto& w = workers_[id];
    w.doing = state::parked;
    w.place_in_parked = parked_.size();
    parked_.push_back(id);
    if (given_.place == placement::poller && turn_ == none) turn_ = id;
  }

  void wake(std::uint32_t id) {
    auto& w = workers_[id];
    auto last = parked_.back();
    parked_[w.place_in_parked] = last;
    workers_[last].place_in_parked = w.place_in_parked;
    parked_.pop_back();
    if (turn_ == id) turn_ = none;
    w.doing = state::waking;
    ++engine_.seen().wakes;
    engine_.spend(id, 0, given_.cost.wake);
    engine_.set_timer(given_.cost.wake, id);
  }

  void wake_a_searcher() {
    if (searchers_ > 0 || parked_.empty()) return;
    auto id = parked_.back();
    workers_[id].is_searcher = true;
    ++searchers_;
    wake(id);
  }

  // --- polling: each its own, or one for all ---

  void poll(std::uint32_t id) {
    auto& w = workers_[id];
    bool is_for_all = given_.place == placement::poller;
    auto& events = is_for_all ? kernel_ : w.events;
    unsigned taken = 0;
    for (; taken < events_a_poll && !events.is_empty(); ++taken, ++queued_) {
      w.queue.push(engine_.jobs(), events.pop(engine_.jobs()));
    }
    if (taken > 1) return wake_a_searcher();
    if (is_for_all && taken == 1 && turn_ == none && !is_watched_ && !parked_.empty()) {
      is_watched_ = true;
      engine_.set_timer(watch_for, count_ + parked_.back());
    }
  }

  // Whoever polled is busy with what it got: the watcher polls in its place.
  void end_watch(std::uint32_t id) {
    is_watched_ = false;
    if (turn_ != none || !workers_[id].is_parked()) return;
    turn_ = id;
    if (!kernel_.is_empty()) wake(id);
  }

  setup given_;
  engine& engine_;
  std::uint32_t count_;
  std::vector<worker> workers_;
  std::vector<std::uint32_t> parked_;
  std::uint32_t searchers_ = 0;
  std::uint64_t queued_ = 0;  // in all workers' queues
  job_queue kernel_;          // events that nobody has polled yet
  std::uint32_t turn_ = none;
  bool is_watched_ = false;
};

}  // namespace

std::unique_ptr<policy> make_stealing_policy(const setup& s, engine& e) {
  return std::make_unique<stealing>(s, e);
}

}  // namespace duel::sim
