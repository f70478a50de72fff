// service_times.hpp - how long the server is asked to work for a request: drawn here, so
// that every server gets the same trace. Immutable; from any thread.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace duel::load {

class service_times {
 public:
  static constexpr double longest_us = 10e6;  // what the kit's /work accepts

  // det:T, exp:MEAN, bimodal:SHORT,LONG,SHARE_OF_LONG, lognormal:MEAN,SIGMA or
  // pareto:MEAN,ALPHA; times as 50us, 1.5ms, 2s. The error says what is wrong.
  static std::expected<service_times, std::string> parse(std::string_view text);

  // Whole microseconds, rounded up or down by chance so that the mean stays.
  [[nodiscard]] std::uint64_t us(std::uint64_t seed, std::uint64_t connection,
                                 std::uint64_t index) const;
  // Of the distribution itself; values above longest_us are cut to it.
  [[nodiscard]] double mean_us() const { return mean_us_; }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  enum class shape { det, exp, bimodal, lognormal, pareto };
  service_times() = default;

  shape shape_ = shape::det;
  double mean_us_ = 0;
  double a_ = 0, b_ = 0, c_ = 0;  // the shape's own
  std::string text_;
};

}  // namespace duel::load
