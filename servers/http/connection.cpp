// connection.cpp - the connection loop: wait, parse, answer, and close so that the answer
// arrives.
//
// Stack frames are small on the way to the wait for a request: that is where thousands of
// idle connections stand, each with the stack pages it has touched.
#include "servers/http/connection.hpp"

#include <algorithm>

#include "runtimes/api/count.hpp"
#include "runtimes/api/task.hpp"
#include "runtimes/api/time.hpp"

namespace duel::http {

namespace {

// A cancelled connection waits this long for a request that may be on its way: closing
// under it would be a reset to a client that did nothing wrong.
constexpr auto grace = std::chrono::milliseconds(20);
constexpr auto last_look = std::chrono::milliseconds(1);
// A body has a deadline for each block, so that no client holds a task for ever with a
// byte now and then.
constexpr std::size_t body_block = 64 * 1024;
// How long a closing server reads on in all, and without anything coming, and how much:
// closing with unread bytes makes the kernel reset the connection, which may destroy the
// answer on its way (RFC 9112, 9.6).
constexpr auto linger_time = std::chrono::seconds(4);
constexpr auto linger_silence = std::chrono::seconds(1);
constexpr std::size_t linger_bytes = 64 * 1024 * 1024;

class connection {
 public:
  connection(net::stream& peer, const options& how) noexcept
      : peer_(peer), how_(how), parser_(how.most), out_(peer, how.write_timeout) {}

  connection_end run() {
    while (await_request()) {
      shield_scope finish_what_is_begun;
      if (serve_received()) continue;
      if (!out_.is_ok()) peer_.discard_unsent();
      bool is_cut = is_cancelled() && !owes_nothing_;
      return is_cut ? connection_end::cut : connection_end::closed;
    }
    return connection_end::closed;
  }
  void turn_away(bool patience) {
    count(counter::turned_away);
    bool said = say_last({503, "too many connections; try again later"});
    if (said && patience) linger();
  }

 private:
  bool await_request();
  bool serve_received();
  bool await_rest();
  bool respond();
  void refuse(const refusal& why);
  bool say_last(const refusal& why);
  void answer(const request& to, responder& reply);
  void count_response();
  void linger();

  bool take(result<buffer_lease> received) {
    if (!received || received->empty()) return false;
    block_ = std::move(*received);
    input_ = block_.bytes();
    out_.look_at_clock();
    return true;
  }

  net::stream& peer_;
  const options& how_;
  parser parser_;
  output out_;
  buffer_lease block_;                // received bytes; only while input_ is not empty
  std::span<const std::byte> input_;  // of these, the ones not yet parsed
  time_point idle_deadline_ = never;  // for the next request's first byte
  time_point rest_deadline_ = never;  // of the request that has begun to arrive
  std::size_t timed_block_ = 0;       // of its body, counted from 1, that this is for
  bool is_served_ = false;
  bool had_grace_ = false;     // once: blank lines would hold up a drain
  bool owes_nothing_ = false;  // the last answer is out
};

// Nothing is owed to the client here: end of stream, errors, timeout and cancellation all
// just close.
bool connection::await_request() {
  // Blank lines between requests are no request.
  if (idle_deadline_ == never) idle_deadline_ = out_.now() + how_.idle_timeout;
  auto received = peer_.receive(idle_deadline_);
  if (!received && received.error() == std::errc::operation_canceled) {
    if (std::exchange(had_grace_, true)) return false;
    shield_scope one_more_request;
    (void)sleep_for(grace);
    received = peer_.receive(deadline_after(last_look));
  }
  return take(std::move(received));
}

// Answers every request that is here or has begun. False: the connection is over.
bool connection::serve_received() {
  const unsigned sends_before = out_.sends();
  for (unsigned in_a_row = 0;;) {
    switch (parser_.feed(input_)) {
      case parsed::complete:
        if (!respond()) return false;
        if (++in_a_row == how_.max_pipeline) {
          if (!out_.flush()) return false;
          yield();
          out_.look_at_clock();
          in_a_row = 0;
        }
        break;
      case parsed::failed:
        refuse(parser_.error());
        return false;
      case parsed::more:
        block_.reset();
        if (!out_.flush()) return false;
        if (out_.sends() - sends_before > 1) out_.look_at_clock();
        if (parser_.is_between_requests()) return true;
        if (!await_rest()) return false;
        in_a_row = 0;
    }
  }
}

// More of a request that has begun. What surrounds chunks is no progress.
bool connection::await_rest() {
  if (parser_.is_in_body()) {
    if (parser_.take_continue()) {
      out_.write("HTTP/1.1 100 Continue\r\n\r\n");
      if (!out_.flush()) return false;
    }
    std::size_t block = 1 + parser_.message().body.size() / body_block;
    if (std::exchange(timed_block_, block) != block) {
      rest_deadline_ = deadline_after(how_.body_timeout);
    }
  } else if (rest_deadline_ == never) {
    rest_deadline_ = deadline_after(how_.header_timeout);
  }
  auto received = peer_.receive(rest_deadline_);
  if (!received && received.error() == std::errc::timed_out) {
    refuse({408, "the request did not arrive in time"});
    return false;
  }
  return take(std::move(received));
}

bool connection::respond() {
  const request& asked = parser_.message();
  const unsigned sends_before = out_.sends();
  if (input_.empty()) block_.reset();
  bool keeps = asked.keep_alive && how_.keep_alive;
  auto after = !keeps             ? persistence::close
               : asked.minor == 0 ? persistence::stated
                                  : persistence::implied;
  // A drain lets requests that came in one piece with this one be answered too.
  responder reply(out_, asked.method == method::head, after,
                  /*yields_to_drain=*/input_.empty());
  answer(asked, reply);
  if (!reply.has_begun()) {
    if (!is_cancelled()) refuse({500, "the handler failed"});  // a cut says nothing
    return false;
  }
  if (!reply.is_complete()) return false;  // too late to say anything: the length tells
  count_response();
  parser_.next();
  idle_deadline_ = rest_deadline_ = never;
  timed_block_ = 0;
  if (!reply.closes()) return true;
  // More may come from a client that did not expect the close. Waiting for it costs a
  // round trip, and is worth it where an answer is lost otherwise: in a drain, and when
  // the answer is so large that much of it is still under way.
  bool drains = keeps;
  bool is_large = asked.keep_alive && out_.sends() != sends_before;
  if (!out_.flush()) return false;
  owes_nothing_ = true;
  if (drains || is_large || !input_.empty()) linger();
  return false;
}

void connection::answer(const request& to, responder& reply) {
  const route* found = find_route(how_.routes, to.path);
  if (!found || !is_allowed(*found, to.method)) return answer_in_place(found, to, reply);
  if (found->may_wait) {
    if (!out_.flush()) return;
    reply.expect_wait();
  }
  try {
    found->answer(to, reply);
  } catch (...) {
    // The responder knows how far the answer came; the rest follows from that.
  }
}

void connection::refuse(const refusal& why) {
  if (!say_last(why)) return;
  owes_nothing_ = true;
  count_response();
  linger();
}

bool connection::say_last(const refusal& why) {
  out_.look_at_clock();  // perhaps it waited for what did not come
  responder reply(out_, parser_.is_head(), persistence::close);
  reply.begin({.status = why.status,
               .content_type = text_plain,
               .content_length = why.why.size() + 1});
  reply.write(why.why);
  reply.write("\n");
  return out_.flush();
}

void connection::count_response() {
  count(counter::requests);
  if (!std::exchange(is_served_, true)) count(counter::served);
}

void connection::linger() {
  block_.reset();
  peer_.shutdown_send();
  time_point deadline = deadline_after(linger_time);
  for (std::size_t read = 0; read < linger_bytes && coarse_now() < deadline;) {
    auto received = peer_.receive(std::min(deadline, deadline_after(linger_silence)));
    if (!received || received->empty()) return;
    read += received->bytes().size();
  }
}

}  // namespace

connection_end serve_connection(net::stream peer, const options& how) {
  return connection(peer, how).run();
}

void turn_away(net::stream peer, const options& how, bool patience) {
  connection(peer, how).turn_away(patience);
}

bool admission::enter() noexcept {
  auto inside = inside_.load();
  do {
    if (most_ > 0 && inside >= most_) return false;
  } while (!inside_.compare_exchange_weak(inside, inside + 1));
  return true;
}

}  // namespace duel::http
