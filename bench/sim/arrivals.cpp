#include "bench/sim/arrivals.hpp"

#include <fmt/format.h>

#include "bench/sim/fields.hpp"

namespace duel::sim {

std::expected<arrival_pattern, std::string> arrival_pattern::parse(
    const std::string& text, double burst, double pause) {
  constexpr std::string_view batch = "batch:";
  arrival_pattern a;
  a.text_ = text;
  if (text == "poisson") return a;
  if (text == "uniform") {
    a.shape_ = shape::uniform;
  } else if (text == "onoff") {
    a.shape_ = shape::on_off;
    a.burst_ = burst, a.pause_ = pause;
  } else if (text.starts_with(batch)) {
    double n = read_number(text.substr(batch.size())).value_or(0);
    if (n < 1 || n > 1e6 || n != std::floor(n)) {
      return std::unexpected(fmt::format(
          "'{}' is no arrival pattern: N is a whole number from 1 to 1000000", text));
    }
    a.shape_ = shape::batch;
    a.batch_ = static_cast<unsigned>(n);
  } else {
    return std::unexpected(fmt::format(
        "'{}' is no arrival pattern (one of poisson, uniform, onoff, batch:N)", text));
  }
  return a;
}

double arrival_pattern::gap(double rate, random_stream& random) noexcept {
  switch (shape_) {
    case shape::poisson:
      return random.exponential(1 / rate);
    case shape::uniform:
      return 1 / rate;
    case shape::batch:
      if (left_in_batch_ > 0) return --left_in_batch_, 0;
      left_in_batch_ = batch_ - 1;
      return random.exponential(batch_ / rate);
    case shape::on_off:
      break;
  }
  // Time in bursts is a Poisson process of its own; pauses are put into it.
  double busy = random.exponential(burst_ / (rate * (burst_ + pause_)));
  in_burst_ += busy;
  double pauses = std::floor(in_burst_ / burst_);
  in_burst_ = std::fmod(in_burst_, burst_);
  return busy + pauses * pause_;
}

}  // namespace duel::sim
