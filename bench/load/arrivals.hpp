// arrivals.hpp - when the requests of an open loop are due: one stream a connection, each
// a function of the seed alone, so nothing is stored and nothing depends on the server.
//
// Independent Poisson streams with the rates R*p(c) are, together, a Poisson stream of
// rate R whose arrivals draw their connection with the chances p(c). From the
// connection's thread.
#pragma once

#include <cstdint>
#include <vector>

namespace duel::load {

enum class arrival_kind { poisson, uniform, onoff };

struct arrival_plan {
  arrival_kind kind = arrival_kind::poisson;
  double rate = 0;                    // a second, over all connections; 0: closed loop
  double burst_s = 0.1, gap_s = 0.4;  // of onoff: arrivals come in bursts only
  double zipf = 0;                    // connection c gets a share of 1/(c+1)^zipf
  std::uint64_t seed = 1;
};

// Of each of `connections`; they add up to 1.
std::vector<double> shares(std::size_t connections, double zipf);

class arrival_stream {
 public:
  arrival_stream() = default;
  arrival_stream(const arrival_plan& plan, std::uint64_t connection, double share);

  // Nanoseconds after the start at which the next request is due; never goes back.
  [[nodiscard]] std::int64_t at() const { return at_; }
  void advance();

 private:
  [[nodiscard]] std::int64_t stretched(double busy_ns) const;

  arrival_kind kind_ = arrival_kind::poisson;
  std::uint64_t seed_ = 0, connection_ = 0, index_ = 0;
  double gap_ns_ = 0, busy_ns_ = 0;  // mean gap; the sum of gaps, pauses left out
  double burst_ns_ = 0, pause_ns_ = 0;
  std::int64_t at_ = 0;
};

}  // namespace duel::load
