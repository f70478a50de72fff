#include "bench/sim/arrivals.hpp"

#include <fmt/format.h>

#include "bench/sim/fields.hpp"

namespace duel::sim {

std::expected<arrival_pattern, std::string> arrival_pattern::parse(
    const std::string& text) {
  auto wrong = [&](std::string_view why) {
    return std::unexpected(fmt::format("'{}' is no arrival pattern: {}", text, why));
  };
  auto fields = split_fields(text);
  if (!fields) return wrong("what follows a colon must be a number");
  auto& [name, numbers] = *fields;
  arrival_pattern a;
  a.text_ = text;
  if ((name == "poisson" || name == "det") && numbers.empty()) {
    a.shape_ = name == "det" ? shape::deterministic : shape::poisson;
  } else if (name == "batch" && numbers.size() == 1) {
    if (numbers[0] < 1 || numbers[0] > 1e6 || numbers[0] != std::floor(numbers[0])) {
      return wrong("N is a whole number from 1 to 1000000");
    }
    a.shape_ = shape::batch;
    a.batch_ = static_cast<unsigned>(numbers[0]);
  } else if (name == "onoff" && numbers.size() == 2) {
    if (numbers[0] <= 0 || numbers[1] < 0) return wrong("ON is above 0, OFF not below");
    a.shape_ = shape::on_off;
    a.on_ = numbers[0], a.off_ = numbers[1];
  } else {
    return wrong("one of poisson, det, batch:N, onoff:ON:OFF");
  }
  return a;
}

double arrival_pattern::gap(double rate, random_stream& random) noexcept {
  switch (shape_) {
    case shape::poisson:
      return random.exponential(1 / rate);
    case shape::deterministic:
      return 1 / rate;
    case shape::batch:
      if (left_in_batch_ > 0) return --left_in_batch_, 0;
      left_in_batch_ = batch_ - 1;
      return random.exponential(batch_ / rate);
    case shape::on_off:
      break;
  }
  // Time while on is a Poisson process of its own; off periods are put into it.
  double busy = random.exponential(on_ / (rate * (on_ + off_)));
  double total = busy;
  while (busy >= on_left_) {
    busy -= on_left_;
    on_left_ = random.exponential(on_);
    if (off_ > 0) total += random.exponential(off_);
  }
  on_left_ -= busy;
  return total;
}

}  // namespace duel::sim
