#include "bench/sim/service.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "bench/sim/fields.hpp"

namespace duel::sim {

namespace {

constexpr double longest = service_time::longest;

double normal_cdf(double x) {
  return std::erfc(-x / std::numbers::sqrt2) / 2;
}

// E[min(X, longest)^n], X lognormal: its logarithm has this mean and deviation.
double lognormal_moment(double mean, double sigma, double n) {
  double end = (std::log(longest) - mean) / sigma;
  return std::exp(n * mean + n * n * sigma * sigma / 2) * normal_cdf(end - n * sigma) +
         std::pow(longest, n) * normal_cdf(-end);
}

// E[min(X, longest)^n], X a Pareto of shape `a` from `least` on.
double pareto_moment(double least, double a, double n) {
  if (least >= longest) return std::pow(longest, n);
  double span = longest / least;
  double beyond =
      std::abs(a - n) < 1e-9 ? std::log(span) : (std::pow(span, n - a) - 1) / (n - a);
  return std::pow(least, n) * (1 + n * beyond);
}

}  // namespace

std::expected<service_time, std::string> service_time::parse(const std::string& text) {
  auto wrong = [&](std::string_view why) {
    return std::unexpected(fmt::format(
        "'{}' is no service time: {} (det:50us, exp:50us, bimodal:10us,1ms,0.01, "
        "lognormal:50us,1.5 or pareto:50us,1.5)",
        text, why));
  };
  auto colon = text.find(':');
  if (colon == std::string::npos) return wrong("it has no ':'");
  constexpr std::array names{"det", "exp", "bimodal", "lognormal", "pareto"};
  constexpr std::array<std::size_t, 5> sizes{1, 1, 3, 2, 2};
  auto name = text.substr(0, colon);
  auto which = static_cast<std::size_t>(std::ranges::find(names, name) - names.begin());
  if (which == names.size()) return wrong("unknown kind");
  auto parts = split(text.substr(colon + 1), ',');
  if (parts.size() != sizes[which]) {
    return wrong(fmt::format("{} takes {} values", name, sizes[which]));
  }
  service_time s;
  s.text_ = text;
  s.shape_ = static_cast<shape>(which);
  std::array<std::optional<double>, 3> values;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    bool is_time = i == 0 || (i == 1 && s.shape_ == shape::bimodal);
    values[i] = is_time ? read_time(parts[i]) : read_number(parts[i]);
    if (!values[i])
      return wrong("its values are numbers, times with us, ms, s or no unit");
  }
  s.a_ = *values[0], s.b_ = values[1].value_or(0), s.c_ = values[2].value_or(0);
  if (auto why = s.check(); !why.empty()) return wrong(why);
  s.set_moments();
  // What a lognormal of a large sigma computes to.
  if (!(s.mean_ > 0) || !std::isfinite(s.squared_cv_))
    return wrong("its moments are lost");
  return s;
}

std::string service_time::check() const {
  if (shape_ == shape::bimodal && (c_ < 0 || c_ > 1)) return "the share is from 0 to 1";
  if (shape_ == shape::lognormal && b_ < 0) return "bad sigma";
  if (shape_ == shape::pareto && b_ <= 1) return "alpha is above 1, or there is no mean";
  double most = std::max(uncut_mean(), shape_ == shape::bimodal ? b_ : 0);
  if (most > longest) return "it is above 10 s";
  return uncut_mean() < 1e-6 ? "its mean is below 1e-6" : "";
}

double service_time::uncut_mean() const noexcept {
  return shape_ == shape::bimodal ? a_ * (1 - c_) + b_ * c_ : a_;
}

void service_time::set_moments() noexcept {
  double second = 0;
  mean_ = uncut_mean();
  switch (shape_) {
    case shape::deterministic:
      second = mean_ * mean_;
      break;
    case shape::exponential:
      second = 2 * mean_ * mean_;
      break;
    case shape::bimodal:
      second = a_ * a_ * (1 - c_) + b_ * b_ * c_;
      break;
    case shape::lognormal:
      origin_ = std::log(a_) - b_ * b_ / 2;
      mean_ = lognormal_moment(origin_, b_, 1);
      second = lognormal_moment(origin_, b_, 2);
      break;
    case shape::pareto:
      origin_ = a_ * (b_ - 1) / b_;
      mean_ = pareto_moment(origin_, b_, 1);
      second = pareto_moment(origin_, b_, 2);
      break;
  }
  squared_cv_ = std::max(0.0, second / (mean_ * mean_) - 1);
}

service_time service_time::scaled_to(double mean) const noexcept {
  auto scaled = *this;
  double factor = mean / uncut_mean();
  scaled.a_ *= factor;
  if (shape_ == shape::bimodal) scaled.b_ *= factor;
  scaled.set_moments();
  return scaled;
}

double service_time::short_limit() const noexcept {
  return shape_ == shape::bimodal ? (a_ + b_) / 2 : mean_;
}

double service_time::draw(random_stream& random) const noexcept {
  switch (shape_) {
    case shape::deterministic:
      break;
    case shape::exponential:
      return random.exponential(a_);
    case shape::bimodal:
      return random.uniform() <= c_ ? b_ : a_;
    case shape::lognormal:
      return std::min(longest, std::exp(origin_ + b_ * random.normal()));
    case shape::pareto:
      return std::min(longest, origin_ * std::pow(random.uniform(), -1 / b_));
  }
  return a_;
}

}  // namespace duel::sim
