// arrivals.hpp - when requests come, in the open loop.
#pragma once

#include <expected>
#include <string>

#include "bench/sim/random.hpp"

namespace duel::sim {

// Written as poisson, det, batch:N (N at once, the batches a Poisson process) or
// onoff:ON:OFF (Poisson while on, nothing while off; both periods exponential with these
// means). The rate is the long-run mean in each case.
class arrival_pattern {
 public:
  enum class shape { poisson, deterministic, batch, on_off };

  // The error is a sentence about `text`.
  static std::expected<arrival_pattern, std::string> parse(const std::string& text);

  // Time from one arrival to the next. Keeps its place in a batch or period.
  double gap(double rate, random_stream& random) noexcept;

  [[nodiscard]] bool is_poisson() const noexcept { return shape_ == shape::poisson; }
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

 private:
  shape shape_ = shape::poisson;
  std::string text_ = "poisson";
  double on_ = 1, off_ = 0;
  unsigned batch_ = 1, left_in_batch_ = 0;
  double on_left_ = 0;
};

}  // namespace duel::sim
