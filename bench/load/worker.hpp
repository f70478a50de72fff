// worker.hpp - one thread of the load: its connections, one epoll instance, and the times
// at which something is due. Nothing is shared with other workers but the immutable
// options.
//
// The life of a worker: connect all, wait for the others, send until the end of the
// window, wait for the last answers (open loop: and send what was due). main() calls, in
// this order: run() in a thread, connected(), start(), join, results.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <queue>
#include <vector>

#include "bench/load/connection.hpp"
#include "bench/load/cpu_use.hpp"

namespace duel::load {

class worker {
 public:
  // `shares`: of the rate, of all connections. Those with number % threads == index are
  // ours.
  worker(const options& o, const exchange& talk, std::size_t index,
         const std::vector<double>& shares);
  ~worker();
  worker(const worker&) = delete;

  void run(const std::atomic<bool>& stop);

  // Set by the worker, waited for by main(); then the next two are known.
  std::atomic<bool> is_connected{false};
  [[nodiscard]] std::size_t established() const { return established_; }
  [[nodiscard]] int connect_error() const { return connect_error_; }  // the last, or 0
  // Set by main(): written before, read after.
  std::atomic<bool> may_start{false};
  window when;

  // After the thread has ended.
  [[nodiscard]] const tally& counts() const { return all_.counts; }
  [[nodiscard]] std::vector<connection_record> records() const { return records_; }
  [[nodiscard]] ns ended() const { return all_.when.end; }
  [[nodiscard]] cpu_use use() const { return use_; }  // over the window

 private:
  struct alarm {
    ns at;
    std::uint32_t which;
    bool operator>(const alarm& other) const { return at > other.at; }
  };
  struct slot {
    connection talk;
    std::size_t index = 0;
    std::uint32_t generation = 0;  // so that an old socket's event is not a new one's
    ns alarm_at = never;           // the one that counts
    bool given_up = false;
    bool waits = false;  // for the alarm, to connect again
    slot(shared_state& all, std::size_t number, double share)
        : talk(all, number, share) {}
  };

  void connect_all(const std::atomic<bool>& stop);
  void load(const std::atomic<bool>& stop);
  void cool_down(const std::atomic<bool>& stop);
  void turn(ns until);
  void handle(slot& s, unsigned events);
  void connect(slot& s);
  void refused(slot& s, int error);
  void retry(slot& s);
  void renew(slot& s);
  [[nodiscard]] bool owes(const slot& s) const;
  void top_up(slot& s, ns at);
  void set_alarm(slot& s, ns at);
  void ring_alarms(ns at);
  void give_up_old(ns at);

  const options& o_;
  shared_state all_;
  int epoll_ = -1;
  std::deque<slot> slots_;
  std::priority_queue<alarm, std::vector<alarm>, std::greater<>> alarms_;
  std::size_t connecting_ = 0;
  bool is_loading_ = false, is_over_ = false;
  ns next_sweep_ = 0;
  cpu_use use_;
  std::optional<ns> slice_;
  std::size_t established_ = 0;
  int connect_error_ = 0;
  std::vector<connection_record> records_;
};

}  // namespace duel::load
