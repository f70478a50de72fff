// service.hpp - how long a request computes: a distribution, its mean and its spread.
#pragma once

#include <expected>
#include <string>

#include "bench/sim/random.hpp"

namespace duel::sim {

// Written as det, exp, bimodal:SHARE:SHORT:LONG, lognormal:CV or pareto:ALPHA:SPAN;
// always scaled to the mean asked for. SHARE is that of the short ones; CV the standard
// deviation in means; the Pareto is bounded, its longest SPAN times its shortest.
class service_time {
 public:
  enum class shape { deterministic, exponential, bimodal, lognormal, pareto };

  service_time() = default;
  // The error is a sentence about `text`.
  static std::expected<service_time, std::string> parse(const std::string& text,
                                                        double mean);

  [[nodiscard]] service_time scaled_to(double mean) const noexcept;
  double draw(random_stream& random) const noexcept;

  [[nodiscard]] shape kind() const noexcept { return shape_; }
  [[nodiscard]] double mean() const noexcept { return mean_; }
  [[nodiscard]] double squared_cv() const noexcept { return squared_cv_; }  // c2
  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  // Between the modes of a bimodal one, else the mean.
  [[nodiscard]] double short_limit() const noexcept;

 private:
  [[nodiscard]] double draw_unscaled(random_stream& random) const noexcept;
  std::string set_moments();  // an error, or empty

  shape shape_ = shape::exponential;
  std::string text_ = "exp";
  double a_ = 0, b_ = 0, c_ = 0;  // what stands after the colons
  double mean_ = 1, squared_cv_ = 1;
  double scale_ = 1;  // from what is drawn to the mean
};

}  // namespace duel::sim
