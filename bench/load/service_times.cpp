#include "bench/load/service_times.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numbers>
#include <optional>
#include <vector>

#include "bench/load/random.hpp"

namespace duel::load {

namespace {

std::optional<double> number(std::string_view text) {
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return std::isfinite(value) && value >= 0 ? std::optional(value) : std::nullopt;
}

std::optional<double> microseconds(std::string_view text) {
  struct unit {
    std::string_view name;
    double us;
  };
  for (auto [name, us] : {unit{"us", 1}, unit{"ms", 1e3}, unit{"s", 1e6}}) {
    if (!text.ends_with(name)) continue;
    auto value = number(text.substr(0, text.size() - name.size()));
    return value ? std::optional(*value * us) : std::nullopt;
  }
  return std::nullopt;
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  for (;;) {
    auto comma = text.find(',');
    parts.push_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

}  // namespace

std::expected<service_times, std::string> service_times::parse(std::string_view text) {
  auto wrong = [&](std::string_view why) {
    return std::unexpected(fmt::format(
        "'{}' is no service time: {} (det:50us, exp:50us, bimodal:10us,1ms,0.01, "
        "lognormal:50us,1.5 or pareto:50us,1.5)",
        text, why));
  };
  auto colon = text.find(':');
  if (colon == std::string_view::npos) return wrong("it has no ':'");
  auto name = text.substr(0, colon);
  auto parts = split(text.substr(colon + 1));
  service_times made;
  made.text_ = text;

  constexpr std::array names = {"det", "exp", "bimodal", "lognormal", "pareto"};
  constexpr std::array<std::size_t, 5> sizes = {1, 1, 3, 2, 2};
  auto which = static_cast<std::size_t>(std::find(names.begin(), names.end(), name) -
                                        names.begin());
  if (which == names.size()) return wrong("unknown kind");
  made.shape_ = static_cast<shape>(which);
  if (parts.size() != sizes[which]) {
    return wrong(fmt::format("{} takes {} values", name, sizes[which]));
  }
  auto first = microseconds(parts[0]);
  if (!first) return wrong("times are a number with us, ms or s");
  made.mean_us_ = made.a_ = *first;
  if (made.shape_ == shape::bimodal) {
    auto longer = microseconds(parts[1]);
    auto share = number(parts[2]);
    if (!longer) return wrong("times are a number with us, ms or s");
    if (!share || *share > 1) return wrong("the share is from 0 to 1");
    made.b_ = *longer, made.c_ = *share;
    made.mean_us_ = made.a_ * (1 - made.c_) + made.b_ * made.c_;
  } else if (parts.size() == 2) {
    auto second = number(parts[1]);
    bool is_pareto = made.shape_ == shape::pareto;
    if (!second || (is_pareto && *second <= 1)) {
      return wrong(is_pareto ? "alpha is above 1, or there is no mean" : "bad sigma");
    }
    made.b_ = *second;
    // From the mean to the parameter of the shape: ln's mean, and the least value.
    made.a_ = is_pareto ? *first * (made.b_ - 1) / made.b_
                        : std::log(*first) - made.b_ * made.b_ / 2;
  }
  if (*first == 0 && made.shape_ == shape::lognormal) return wrong("the mean is 0");
  if (std::max(made.mean_us_, made.shape_ == shape::bimodal ? made.b_ : 0) > longest_us) {
    return wrong("the server works for 10 s at most");
  }
  return made;
}

std::uint64_t service_times::us(std::uint64_t seed, std::uint64_t connection,
                                std::uint64_t index) const {
  double u = draw_unit(seed, purpose::service, connection, index), value = a_;
  switch (shape_) {
    case shape::det:
      break;
    case shape::exp:
      value = -a_ * std::log(u);
      break;
    case shape::bimodal:
      value = u < c_ ? b_ : a_;
      break;
    case shape::lognormal: {
      double turn = draw_unit(seed, purpose::angle, connection, index);
      double normal = std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * turn);
      value = std::exp(a_ + b_ * normal);
      break;
    }
    case shape::pareto:
      value = a_ * std::pow(u, -1 / b_);
      break;
  }
  value = std::min(value, longest_us);
  double whole = std::floor(value);
  double chance = draw_unit(seed, purpose::rounding, connection, index);
  return static_cast<std::uint64_t>(whole) + (chance < value - whole);
}

}  // namespace duel::load
