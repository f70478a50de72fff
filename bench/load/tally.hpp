// tally.hpp - what one worker counts; merged when all have ended. From the worker's
// thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "bench/load/clock.hpp"
#include "bench/load/histogram.hpp"

namespace duel::load {

// How a request, or a connection, can fail. Counted over the whole run.
enum class fault : unsigned char {
  connect,    // an attempt to connect failed
  reset,      // the connection was reset under the request
  eof,        // closed before the first byte of the answer
  truncated,  // closed in the middle of the answer
  status,     // another status than expected
  body,       // another length or content than expected
  extra,      // bytes that answer no request
  malformed,  // not HTTP
  timeout,    // given up
};
constexpr std::array<std::string_view, 9> fault_names = {
    "connect", "reset", "eof",       "truncated", "status",
    "body",    "extra", "malformed", "timeout"};

struct tally {
  std::array<std::uint64_t, fault_names.size()> faults{};
  // By half of the window: of those due in it (open loop), or answered in it (closed).
  std::array<histogram, 2> intended, sent;
  std::array<std::uint64_t, 2> answered{};  // rightly, by half of the window
  histogram lateness;  // from when a request was due and could be sent until it was
  std::uint64_t reconnects = 0, idle_closes = 0, bytes = 0;
  std::uint64_t offered = 0;     // arrivals due within the window
  std::uint64_t in_flight = 0;   // at the end of the window
  std::uint64_t unfinished = 0;  // sent, and not answered by the end of the cool-down
  std::uint64_t unsent = 0;      // due in the window, and not sent by then
  std::uint64_t censored = 0;   // due in the window: in `intended` with their wait so far
  ns longest_wait = 0;          // of unfinished and unsent, at the end of the cool-down
  std::uint64_t exhausted = 0;  // attempts to connect that this machine refused
  int exhausted_by = 0;         // the last such errno

  void count(fault what, std::uint64_t n = 1) {
    faults[static_cast<std::size_t>(what)] += n;
  }
  void merge(const tally& other) {
    for (std::size_t i = 0; i < faults.size(); ++i) faults[i] += other.faults[i];
    for (std::size_t half : {0, 1}) {
      intended[half].merge(other.intended[half]);
      sent[half].merge(other.sent[half]);
      answered[half] += other.answered[half];
    }
    lateness.merge(other.lateness);
    reconnects += other.reconnects, idle_closes += other.idle_closes;
    bytes += other.bytes, offered += other.offered, unsent += other.unsent;
    in_flight += other.in_flight, unfinished += other.unfinished;
    censored += other.censored, exhausted += other.exhausted;
    if (other.exhausted_by) exhausted_by = other.exhausted_by;
    longest_wait = longest_wait > other.longest_wait ? longest_wait : other.longest_wait;
  }
};

// What became of one connection, at the end of the window.
struct connection_record {
  std::size_t number = 0;
  unsigned port = 0;  // its own; the last one, if it was renewed
  bool established = false, asked = false, lost = false;
  std::uint64_t served = 0, offered = 0;
  ns waiting_since = 0;  // the oldest request without an answer; 0: none
};

}  // namespace duel::load
