// arrivals.hpp - when requests come, in the open loop.
#pragma once

#include <expected>
#include <string>

#include "bench/sim/random.hpp"

namespace duel::sim {

// As duel-load's: poisson, uniform (all gaps equal) or onoff (Poisson in bursts of a
// fixed length, nothing in the pauses between, fixed too; begins with a burst). Besides,
// batch:N: N at once, the batches a Poisson process. The rate is the long-run mean.
class arrival_pattern {
 public:
  enum class shape { poisson, uniform, batch, on_off };

  // The error is a sentence about `text`.
  static std::expected<arrival_pattern, std::string> parse(const std::string& text,
                                                           double burst = 100e3,
                                                           double pause = 400e3);

  // Time from one arrival to the next. Keeps its place in a batch or burst.
  double gap(double rate, random_stream& random) noexcept;

  [[nodiscard]] bool is_poisson() const noexcept { return shape_ == shape::poisson; }
  [[nodiscard]] bool is_uniform() const noexcept { return shape_ == shape::uniform; }
  [[nodiscard]] bool is_on_off() const noexcept { return shape_ == shape::on_off; }
  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  [[nodiscard]] double burst() const noexcept { return burst_; }
  [[nodiscard]] double pause() const noexcept { return pause_; }

 private:
  shape shape_ = shape::poisson;
  std::string text_ = "poisson";
  double burst_ = 0, pause_ = 0;
  unsigned batch_ = 1, left_in_batch_ = 0;
  double in_burst_ = 0;  // since it began
};

}  // namespace duel::sim
