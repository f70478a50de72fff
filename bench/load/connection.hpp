// connection.hpp - one connection: its socket, the requests in flight, and the check of
// what comes back. It never waits; its worker tells it what the socket is ready for.
//
// Invariant: answers belong to the requests in flight in the order they were sent;
// whatever does not fit is counted as a fault, and where the stream cannot be trusted any
// more the connection is closed. From its worker's thread only.
#pragma once

#include <llhttp.h>

#include <cstdint>
#include <memory>
#include <string>

#include "bench/load/arrivals.hpp"
#include "bench/load/clock.hpp"
#include "bench/load/exchange.hpp"
#include "bench/load/options.hpp"
#include "bench/load/tally.hpp"

namespace duel::load {

// What the connections of a worker share.
struct shared_state {
  const options& o;
  const exchange& talk;
  tally counts;
  window when;
  std::string batch;       // the requests of `pipeline` sends, where all are the same
  std::string text, body;  // scratch
  std::unique_ptr<char[]> input = std::make_unique<char[]>(input_size);
  static constexpr std::size_t input_size = 64 * 1024;

  shared_state(const options& given, const exchange& e);
};

class connection {
 public:
  enum class phase : unsigned char { closed, connecting, open };

  connection(shared_state& all, std::size_t number, double share);
  ~connection() { close(); }
  connection(const connection&) = delete;

  // An errno, or 0: connecting.
  int connect(int epoll, std::uint64_t tag);
  // After the socket's first event: an errno, or 0: open.
  int settle();
  void close();

  // Each may leave the connection closed, with its requests counted as lost.
  void receive(unsigned events);
  void flush();  // sends what has been pushed
  void send_rest();
  void give_up(ns at);  // when the oldest request has waited too long

  [[nodiscard]] phase state() const { return phase_; }
  [[nodiscard]] bool is_useful() const { return is_useful_; }
  [[nodiscard]] bool has_room() const { return in_flight_ < all_.o.pipeline; }
  [[nodiscard]] std::uint64_t in_flight() const { return in_flight_; }

  // Every request has a time at which it is due: in the open loop by the schedule, in the
  // closed one when its predecessor has been answered, or lost, and thought about.
  [[nodiscard]] ns due() const;
  void push();  // the request that is due; needs room
  void start(ns at);
  // At the end of the window: what the record says; the cool-down does not change it.
  void finish(ns end);
  // At the end of the cool-down: what is missing.
  void censor(ns end);
  [[nodiscard]] connection_record record() const { return record_; }

 private:
  struct request {
    std::uint64_t index;
    ns due, sent;
  };
  request& at(std::uint64_t n) { return ring_[(head_ + n) % all_.o.pipeline]; }
  // A request is of the window if it was due in it (open loop), or if this happened in
  // it.
  [[nodiscard]] bool is_measured(const request& r, ns at) const {
    return all_.when.holds(all_.o.is_open_loop() ? r.due : at);
  }
  void feed(const char* data, std::size_t size);
  void hang_up();
  void lose(fault why);
  void free_at(ns when);
  int on_begin();
  int on_head();
  int on_body(std::string_view part);
  int on_complete();
  void count_right(const request& r);
  static const llhttp_settings_t& callbacks();

  shared_state& all_;
  llhttp_t parser_;
  int fd_ = -1;
  phase phase_ = phase::closed;
  bool is_useful_ = false;  // this socket has brought an answer
  bool closes_ = false;     // the last answer said so
  // Of the answer that is coming: begun; to no request, and then a refusal; not as
  // expected.
  bool in_answer_ = false, is_extra_ = false, is_refusal_ = false, is_wrong_ = false;
  std::uint64_t got_ = 0;  // of the answer's body
  std::unique_ptr<request[]> ring_;
  std::uint64_t head_ = 0, in_flight_ = 0, unsent_ = 0, next_ = 0;
  std::string rest_;  // that the kernel has not taken yet
  arrival_stream arrivals_;
  ns ready_ = 0;    // when it could take its next request
  ns read_at_ = 0;  // when the bytes in hand came
  connection_record record_;
};

}  // namespace duel::load
