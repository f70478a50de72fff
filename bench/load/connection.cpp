#include "bench/load/connection.hpp"

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "bench/load/random.hpp"

namespace duel::load {

shared_state::shared_state(const options& given, const exchange& e) : o(given), talk(e) {
  if (!talk.is_constant()) return;
  for (std::size_t i = 0; i < o.pipeline; ++i) talk.write(batch, 0, 0);
}

const llhttp_settings_t& connection::callbacks() {
  static const llhttp_settings_t made = [] {
    llhttp_settings_t s;
    llhttp_settings_init(&s);
    s.on_message_begin = [](llhttp_t* p) {
      return static_cast<connection*>(p->data)->on_begin();
    };
    s.on_headers_complete = [](llhttp_t* p) {
      return static_cast<connection*>(p->data)->on_head();
    };
    s.on_body = [](llhttp_t* p, const char* at, std::size_t size) {
      return static_cast<connection*>(p->data)->on_body({at, size});
    };
    s.on_message_complete = [](llhttp_t* p) {
      return static_cast<connection*>(p->data)->on_complete();
    };
    return s;
  }();
  return made;
}

connection::connection(shared_state& all, std::size_t number, double share)
    : all_(all), ring_(std::make_unique<request[]>(all.o.pipeline)) {
  record_.number = number;
  if (all_.o.is_open_loop()) arrivals_ = {all_.o.arrivals, number, share};
}

int connection::connect(int epoll, std::uint64_t tag) {
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return errno;
  int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  auto failed = [this] {
    int error = errno;
    close();
    return error;
  };
  if (const auto& from = all_.o.sources; !from.empty()) {
    ::setsockopt(fd_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    sockaddr_in source{.sin_family = AF_INET,
                       .sin_addr = from[record_.number % from.size()]};
    if (::bind(fd_, reinterpret_cast<sockaddr*>(&source), sizeof source) < 0) {
      return failed();
    }
  }
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                    .data = {.u64 = tag}};
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd_, &event) < 0) return failed();
  auto* to = reinterpret_cast<const sockaddr*>(&all_.o.to);
  if (::connect(fd_, to, sizeof all_.o.to) < 0 && errno != EINPROGRESS) return failed();
  phase_ = phase::connecting;
  return 0;
}

int connection::settle() {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error) {
    close();
    return error;
  }
  phase_ = phase::open;
  record_.established = true;
  sockaddr_in own{};
  size = sizeof own;
  ::getsockname(fd_, reinterpret_cast<sockaddr*>(&own), &size);
  record_.port = ntohs(own.sin_port);
  llhttp_init(&parser_, HTTP_RESPONSE, &callbacks());
  parser_.data = this;
  in_answer_ = is_extra_ = closes_ = is_useful_ = false;
  if (all_.o.is_open_loop()) ready_ = now();  // what is due may not have waited for this
  return 0;
}

void connection::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  phase_ = phase::closed;
  head_ = in_flight_ = unsent_ = 0;
  rest_.clear();
}

void connection::start(ns at) {
  ready_ = at;
}

void connection::free_at(ns when) {
  ready_ = when;
  if (all_.o.think_ms > 0) {
    double pause = draw_exponential(all_.o.seed(), purpose::think, record_.number, next_);
    ready_ += static_cast<ns>(all_.o.think_ms * 1e6 * pause);
  }
}

ns connection::due() const {
  return all_.o.is_open_loop() ? all_.when.start + arrivals_.at() : ready_;
}

void connection::push() {
  at(in_flight_) = {next_++, due(), 0};
  ++in_flight_, ++unsent_;
  if (!all_.o.is_open_loop()) return;
  record_.offered += all_.when.holds(due());
  arrivals_.advance();
}

void connection::flush() {
  if (unsent_ == 0) return;
  std::string_view text;
  if (all_.talk.is_constant()) {
    auto one = all_.batch.size() / all_.o.pipeline;
    text = std::string_view(all_.batch).substr(0, one * unsent_);
  } else {
    all_.text.clear();
    for (auto n = in_flight_ - unsent_; n < in_flight_; ++n) {
      all_.talk.write(all_.text, record_.number, at(n).index);
    }
    text = all_.text;
  }
  ns sent = now();
  for (; unsent_ > 0; --unsent_) {
    request& r = at(in_flight_ - unsent_);
    r.sent = sent;
    if (all_.o.is_open_loop() || all_.o.think_ms > 0) {
      if (is_measured(r, sent)) {
        all_.counts.lateness.add(
            static_cast<std::uint64_t>(sent - std::max(r.due, ready_)));
      }
    }
  }
  record_.asked = true;
  if (record_.waiting_since == 0) record_.waiting_since = sent;
  if (!rest_.empty()) {
    rest_ += text;
    return;
  }
  rest_ = {};
  ssize_t taken = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
  if (taken < 0 && errno != EAGAIN) return lose(fault::reset);
  auto done = static_cast<std::size_t>(std::max<ssize_t>(taken, 0));
  if (done < text.size()) rest_ = text.substr(done);
}

void connection::send_rest() {
  if (rest_.empty()) return;
  ssize_t taken = ::send(fd_, rest_.data(), rest_.size(), MSG_NOSIGNAL);
  if (taken < 0 && errno != EAGAIN) return lose(fault::reset);
  if (taken > 0) rest_.erase(0, static_cast<std::size_t>(taken));
}

void connection::receive(unsigned events) {
  while (phase_ == phase::open) {
    char* input = all_.input.get();
    ssize_t got = ::recv(fd_, input, shared_state::input_size, 0);
    if (got < 0 && errno == EAGAIN) return;
    read_at_ = now();
    if (got < 0) return lose(fault::reset);
    if (got == 0) return hang_up();
    if (all_.when.holds(read_at_)) {
      all_.counts.bytes += static_cast<std::uint64_t>(got);
    }
    feed(input, static_cast<std::size_t>(got));
    // A read that does not fill the buffer has drained the socket.
    bool is_drained = static_cast<std::size_t>(got) < shared_state::input_size;
    if (is_drained && !(events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))) return;
  }
}

void connection::feed(const char* data, std::size_t size) {
  auto error = llhttp_execute(&parser_, data, size);
  if (error != HPE_OK && is_extra_) {
    return lose(is_refusal_ ? fault::status : fault::extra);
  }
  if (error == HPE_CLOSED_CONNECTION) {  // an answer said that it was the last
    all_.counts.count(fault::extra);
    return lose(fault::eof);
  }
  if (error != HPE_OK) return lose(fault::malformed);
  if (closes_) lose(fault::eof);
}

// The server has closed.
void connection::hang_up() {
  if (is_extra_) return lose(fault::extra);
  if (in_answer_) {
    bool was_end = llhttp_finish(&parser_) == HPE_OK && !in_answer_;
    return lose(was_end ? fault::eof : fault::truncated);
  }
  lose(fault::eof);
}

// All in flight are lost with the connection, and for the same reason.
void connection::lose(fault why) {
  if (in_flight_ > 0) {
    record_.lost = true;
    all_.counts.count(why, in_flight_);
  } else if (why == fault::extra || why == fault::malformed || why == fault::status) {
    all_.counts.count(why);
  } else if (!closes_) {
    ++all_.counts.idle_closes;
  }
  if (in_flight_ > 0) {
    ns at_time = now();
    if (!all_.o.is_open_loop()) free_at(at_time);
    if (due() > at_time) record_.waiting_since = 0;
  }
  close();
}

void connection::give_up(ns at_time) {
  if (in_flight_ > 0 && at(0).sent + all_.o.timeout < at_time) lose(fault::timeout);
}

int connection::on_begin() {
  in_answer_ = true, is_wrong_ = false;
  got_ = 0;
  is_extra_ = in_flight_ == 0;
  return 0;
}

int connection::on_head() {
  if (!is_extra_) return 0;
  // A server may say that it will not serve us before it has been asked.
  is_refusal_ = parser_.status_code >= 400;
  return -1;
}

int connection::on_body(std::string_view part) {
  if (all_.talk.checks_bodies() && !is_wrong_) {
    auto wanted = all_.talk.expected(all_.body, record_.number, at(0).index);
    is_wrong_ = got_ > wanted.size() || wanted.substr(got_, part.size()) != part;
  }
  got_ += part.size();
  return 0;
}

int connection::on_complete() {
  in_answer_ = false;
  if (parser_.status_code / 100 == 1) return 0;  // not yet the answer
  if (!llhttp_should_keep_alive(&parser_)) closes_ = true;
  is_useful_ = true;
  request asked = at(0);
  auto fits = [&] {
    if (all_.o.expect_length && got_ != *all_.o.expect_length) return false;
    if (!all_.talk.checks_bodies()) return true;
    return !is_wrong_ &&
           got_ == all_.talk.expected(all_.body, record_.number, asked.index).size();
  };
  bool had_room = has_room();
  head_ = (head_ + 1) % all_.o.pipeline;
  --in_flight_;
  if (!all_.o.is_open_loop() || !had_room) free_at(read_at_);
  record_.waiting_since = in_flight_ > 0 ? at(0).sent : 0;
  if (parser_.status_code != all_.o.expect_status) {
    all_.counts.count(fault::status);
  } else if (!fits()) {
    all_.counts.count(fault::body);
  } else {
    count_right(asked);
  }
  return 0;
}

void connection::count_right(const request& r) {
  auto& counts = all_.counts;
  if (all_.when.holds(read_at_)) {
    ++counts.answered[all_.when.half(read_at_)];
    ++record_.served;
  }
  if (!is_measured(r, read_at_)) return;
  auto half = all_.when.half(all_.o.is_open_loop() ? r.due : read_at_);
  counts.intended[half].add(static_cast<std::uint64_t>(read_at_ - r.due));
  counts.sent[half].add(static_cast<std::uint64_t>(read_at_ - r.sent));
}

void connection::finish(ns end) {
  all_.counts.in_flight += in_flight_;
  // What could not be sent, for want of a connection, waits as well.
  if (record_.waiting_since == 0 && due() < end) record_.waiting_since = due();
  if (!all_.o.is_open_loop()) return;
  for (auto rest = arrivals_; all_.when.start + rest.at() < end; rest.advance()) {
    record_.offered += all_.when.holds(all_.when.start + rest.at());
  }
  all_.counts.offered += record_.offered;
}

void connection::censor(ns end) {
  auto& counts = all_.counts;
  bool is_open = all_.o.is_open_loop();
  auto count_missing = [&](ns was_due) {
    counts.longest_wait = std::max(counts.longest_wait, end - was_due);
    if (!is_open || !all_.when.holds(was_due)) return;
    counts.intended[all_.when.half(was_due)].add(
        static_cast<std::uint64_t>(end - was_due));
    ++counts.censored;
  };
  counts.unfinished += in_flight_;
  for (std::uint64_t n = 0; n < in_flight_; ++n) count_missing(at(n).due);
  for (; is_open && due() < all_.when.end; arrivals_.advance()) {
    count_missing(due());
    counts.unsent += all_.when.holds(due());
  }
}

}  // namespace duel::load
