// service.hpp - how long a request computes: a distribution, its mean and its spread.
#pragma once

#include <expected>
#include <string>

#include "bench/sim/random.hpp"

namespace duel::sim {

// Written as for duel-load: det:T, exp:MEAN, bimodal:SHORT,LONG,SHARE_OF_LONG,
// lognormal:MEAN,SIGMA (of its logarithm) or pareto:MEAN,ALPHA; times as 50us, 1.5ms, 2s
// or without a unit. A lognormal or Pareto value above `longest` is cut to it, as there,
// and the moments are those of what is left. Nothing is rounded to whole microseconds.
class service_time {
 public:
  enum class shape { deterministic, exponential, bimodal, lognormal, pareto };

  static constexpr double longest = 10e6;

  service_time() = default;
  // The error is a sentence about `text`.
  static std::expected<service_time, std::string> parse(const std::string& text);

  // The same shape with another MEAN.
  [[nodiscard]] service_time scaled_to(double mean) const noexcept;
  double draw(random_stream& random) const noexcept;

  [[nodiscard]] shape kind() const noexcept { return shape_; }
  [[nodiscard]] double mean() const noexcept { return mean_; }
  [[nodiscard]] double squared_cv() const noexcept { return squared_cv_; }  // c2
  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  // Between the modes of a bimodal one, else the mean.
  [[nodiscard]] double short_limit() const noexcept;

 private:
  std::string check() const;  // an error, or empty
  // MEAN, before anything is cut.
  [[nodiscard]] double uncut_mean() const noexcept;
  void set_moments() noexcept;

  shape shape_ = shape::exponential;
  std::string text_ = "exp:1";
  double a_ = 1, b_ = 0, c_ = 0;  // what stands after the colon
  double origin_ = 0;  // mean of a lognormal's logarithm; the least of a Pareto
  double mean_ = 1, squared_cv_ = 1;
};

}  // namespace duel::sim
