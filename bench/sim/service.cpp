#include "bench/sim/service.hpp"

#include <fmt/format.h>

#include "bench/sim/fields.hpp"

namespace duel::sim {

namespace {

// E[X^n] of a Pareto of shape `a` between 1 and `most`.
double pareto_moment(double a, double most, double n) {
  double share = 1 - std::pow(most, -a);
  if (std::abs(a - n) < 1e-9) return a * std::log(most) / share;
  return a / (a - n) * (1 - std::pow(most, n - a)) / share;
}

}  // namespace

std::expected<service_time, std::string> service_time::parse(const std::string& text,
                                                             double mean) {
  auto wrong = [&](std::string_view why) {
    return std::unexpected(fmt::format("'{}' is no service time: {}", text, why));
  };
  auto fields = split_fields(text);
  if (!fields) return wrong("what follows a colon must be a number");
  auto& [name, numbers] = *fields;
  service_time s;
  s.text_ = text;
  std::size_t wanted = 0;
  if (name == "det") {
    s.shape_ = shape::deterministic;
  } else if (name == "exp") {
    s.shape_ = shape::exponential;
  } else if (name == "bimodal") {
    s.shape_ = shape::bimodal, wanted = 3;
  } else if (name == "lognormal") {
    s.shape_ = shape::lognormal, wanted = 1;
  } else if (name == "pareto") {
    s.shape_ = shape::pareto, wanted = 2;
  } else {
    return wrong(
        "one of det, exp, bimodal:SHARE:SHORT:LONG, lognormal:CV, pareto:ALPHA:SPAN");
  }
  if (numbers.size() != wanted) {
    return wrong(fmt::format("{} takes {} numbers after colons", name, wanted));
  }
  if (wanted > 0) s.a_ = numbers[0];
  if (wanted > 1) s.b_ = numbers[1];
  if (wanted > 2) s.c_ = numbers[2];
  if (auto why = s.set_moments(); !why.empty()) return wrong(why);
  return s.scaled_to(mean);
}

std::string service_time::set_moments() {
  double first = 1, second = 1;
  switch (shape_) {
    case shape::deterministic:
      break;
    case shape::exponential:
      second = 2;
      break;
    case shape::bimodal:
      if (a_ <= 0 || a_ >= 1) return "SHARE is between 0 and 1";
      if (b_ <= 0 || c_ <= b_) return "SHORT is above 0 and below LONG";
      first = a_ * b_ + (1 - a_) * c_;
      second = a_ * b_ * b_ + (1 - a_) * c_ * c_;
      break;
    case shape::lognormal:
      if (a_ <= 0 || a_ > 100) return "CV is above 0, at most 100";
      second = 1 + a_ * a_;
      break;
    case shape::pareto:
      if (a_ <= 0 || a_ > 100) return "ALPHA is above 0, at most 100";
      if (b_ <= 1 || b_ > 1e12) return "SPAN is above 1, at most 1e12";
      first = pareto_moment(a_, b_, 1);
      second = pareto_moment(a_, b_, 2);
      break;
  }
  squared_cv_ = second / (first * first) - 1;
  mean_ = first;
  return {};
}

service_time service_time::scaled_to(double mean) const noexcept {
  auto scaled = *this;
  scaled.scale_ = scale_ * mean / mean_;
  scaled.mean_ = mean;
  return scaled;
}

double service_time::short_limit() const noexcept {
  return shape_ == shape::bimodal ? (b_ + c_) / 2 * scale_ : mean_;
}

double service_time::draw(random_stream& random) const noexcept {
  return scale_ * draw_unscaled(random);
}

double service_time::draw_unscaled(random_stream& random) const noexcept {
  switch (shape_) {
    case shape::deterministic:
      return 1;
    case shape::exponential:
      return random.exponential(1);
    case shape::bimodal:
      return random.uniform() <= a_ ? b_ : c_;
    case shape::lognormal: {
      double variance = std::log1p(a_ * a_);
      return std::exp(std::sqrt(variance) * random.normal() - variance / 2);
    }
    case shape::pareto:
      return std::pow(1 - random.uniform() * (1 - std::pow(b_, -a_)), -1 / a_);
  }
  return 1;
}

}  // namespace duel::sim
