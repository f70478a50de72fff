// connection.cpp - the connection loop: wait, parse, answer, and close so that the answer
// arrives.
//
// Stack frames are small on the way to the wait for a request: that is where thousands of
// idle connections stand, each with the stack pages it has touched.
#include "servers/http/connection.hpp"

#include "runtimes/api/count.hpp"
#include "runtimes/api/task.hpp"
#include "runtimes/api/time.hpp"

namespace duel::http {

namespace {

// A cancelled connection waits this long for a request that may be on its way: closing
// under it would be a reset to a client that did nothing wrong.
constexpr auto grace = std::chrono::milliseconds(20);
constexpr auto last_look = std::chrono::milliseconds(1);
// How long, and for how many bytes, a closing server reads on: closing with unread bytes
// makes the kernel reset the connection, which may destroy the answer on its way.
constexpr auto linger_time = std::chrono::seconds(1);
constexpr std::size_t linger_bytes = 256 * 1024;

class connection {
 public:
  connection(net::stream& peer, const options& how) noexcept
      : peer_(peer), how_(how), parser_(how.most), out_(peer, how.write_timeout) {}

  connection_end run() {
    while (await_request()) {
      shield_scope finish_what_is_begun;
      if (serve_received()) continue;
      return is_cancelled() ? connection_end::cut : connection_end::closed;
    }
    return connection_end::closed;
  }

 private:
  bool await_request();
  bool serve_received();
  bool await_rest();
  bool respond();
  void refuse(const refusal& why);
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
  time_point head_deadline_ = never;  // set while an incomplete head is waited for
  bool is_served_ = false;
};

// Nothing is owed to the client here: end of stream, errors, timeout and cancellation all
// just close.
bool connection::await_request() {
  auto received = peer_.receive(out_.now() + how_.idle_timeout);
  if (!received && received.error() == std::errc::operation_canceled) {
    shield_scope one_more_request;
    (void)sleep_for(grace);
    received = peer_.receive(deadline_after(last_look));
  }
  return take(std::move(received));
}

// Answers every request that is here or has begun. False: the connection is over.
bool connection::serve_received() {
  for (;;) {
    switch (parser_.feed(input_)) {
      case parsed::complete:
        if (!respond()) return false;
        break;
      case parsed::failed:
        refuse(parser_.error());
        return false;
      case parsed::more:
        block_.reset();
        if (!out_.flush()) return false;
        if (parser_.is_between_requests()) return true;
        if (!await_rest()) return false;
    }
  }
}

// More of a request that has begun.
bool connection::await_rest() {
  time_point deadline;
  if (parser_.is_in_body()) {
    deadline = deadline_after(how_.header_timeout);
    if (parser_.take_continue()) {
      out_.write("HTTP/1.1 100 Continue\r\n\r\n");
      if (!out_.flush()) return false;
    }
  } else {
    if (head_deadline_ == never) head_deadline_ = deadline_after(how_.header_timeout);
    deadline = head_deadline_;
  }
  auto received = peer_.receive(deadline);
  if (!received && received.error() == std::errc::timed_out) {
    refuse({408, "the request did not arrive in time"});
    return false;
  }
  return take(std::move(received));
}

bool connection::respond() {
  const request& asked = parser_.message();
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
  head_deadline_ = never;
  if (!reply.closes()) return true;
  bool drains = keeps;
  if (out_.flush() && (drains || !input_.empty())) linger();
  return false;
}

void connection::answer(const request& to, responder& reply) {
  const route* found = find_route(how_.routes, to.path);
  if (!found || !is_allowed(*found, to.method)) return refuse_route(found, reply);
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
  out_.look_at_clock();  // perhaps it waited for what did not come
  responder reply(out_, false, persistence::close);
  reply.begin({.status = why.status,
               .content_type = text_plain,
               .content_length = why.why.size() + 1});
  reply.write(why.why);
  reply.write("\n");
  if (!out_.flush()) return;
  count_response();
  linger();
}

void connection::count_response() {
  count(counter::requests);
  if (!std::exchange(is_served_, true)) count(counter::served);
}

void connection::linger() {
  block_.reset();
  peer_.shutdown_send();
  time_point deadline = deadline_after(linger_time);
  for (std::size_t read = 0; read < linger_bytes;) {
    auto received = peer_.receive(deadline);
    if (!received || received->empty()) return;
    read += received->bytes().size();
  }
}

}  // namespace

connection_end serve_connection(net::stream peer, const options& how) {
  return connection(peer, how).run();
}

}  // namespace duel::http
