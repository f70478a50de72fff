// connection.hpp - one HTTP/1.1 connection from its first byte to its close.
//
// Written as if it blocked; runs in a task of its own under any model. Between requests
// it can be cancelled and owns no buffer; from the first byte of a request to the last of
// its answer a drain lets it finish.
#pragma once

#include <atomic>
#include <chrono>

#include "servers/http/parser.hpp"
#include "servers/http/router.hpp"

namespace duel::http {

struct options {
  std::span<const route> routes;
  limits most;
  bool keep_alive = true;  // false: every answer closes its connection
  // Answers in a row to requests that came together; then they are sent, and other
  // connections get their turn.
  unsigned max_pipeline = 64;
  std::chrono::milliseconds header_timeout{10'000};  // for the head, from its first byte
  std::chrono::milliseconds body_timeout{30'000};    // for each 64 KiB of a body
  // For the next request's first byte, from when the answer before was handed over.
  std::chrono::milliseconds idle_timeout{60'000};
  std::chrono::milliseconds write_timeout{30'000};  // for each block of at most 64 KiB
};

enum class connection_end {
  closed,  // by either side, in whatever state
  cut,     // a request was under way and the scheduler did not wait for it
};

// `how` outlives the call.
connection_end serve_connection(net::stream peer, const options& how);

// Answers 503 to whatever the client is about to ask, and closes; with `patience` it
// first waits until the client has heard.
void turn_away(net::stream peer, const options& how, bool patience);

// Lets so many connections in at a time. Any thread.
class admission {
 public:
  explicit admission(std::size_t most) noexcept : most_(most) {}  // 0: no limit

  // Inside for as long as it lives; false if it was not let in.
  class place {
   public:
    explicit place(admission& to) noexcept : of_(to.enter() ? &to : nullptr) {}
    ~place() {
      if (of_) --of_->inside_;
    }
    place(const place&) = delete;
    place& operator=(const place&) = delete;
    explicit operator bool() const noexcept { return of_; }

   private:
    admission* const of_;
  };

 private:
  bool enter() noexcept;

  const std::size_t most_;
  std::atomic<std::size_t> inside_{0};
};

}  // namespace duel::http
