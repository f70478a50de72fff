#include "bench/load/histogram.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace duel::load {

void histogram::merge(const histogram& other) {
  for (std::size_t i = 0; i < buckets; ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
}

double histogram::mean() const {
  return count_ ? sum_ / static_cast<double>(count_) : 0;
}

double histogram::deviation() const {
  if (count_ == 0) return 0;
  double squares = 0;
  for (std::size_t i = 0; i < buckets; ++i) {
    if (counts_[i] == 0) continue;
    auto middle = static_cast<double>(lowest(i) + highest(i)) / 2;
    squares += static_cast<double>(counts_[i]) * (middle - mean()) * (middle - mean());
  }
  return std::sqrt(squares / static_cast<double>(count_));
}

std::uint64_t histogram::percentile(double fraction) const {
  auto wanted = static_cast<std::uint64_t>(
      std::ceil(std::clamp(fraction, 0.0, 1.0) * static_cast<double>(count_)));
  wanted = std::max<std::uint64_t>(wanted, 1);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets; ++i) {
    seen += counts_[i];
    if (seen >= wanted) return i + 1 == buckets ? max_ : std::min(highest(i), max_);
  }
  return max_;
}

std::string histogram::to_hgrm() const {
  auto ms = [](double ns) { return ns / 1e6; };
  std::string text = fmt::format("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile",
                                 "TotalCount", "1/(1-Percentile)");
  // Five steps to every halving of what is left, as HdrHistogram prints them.
  constexpr int steps = 5;
  auto row = [&](double fraction) {
    auto value = percentile(fraction);
    std::uint64_t below = 0;
    for (std::size_t i = 0; i <= index_of(value); ++i) below += counts_[i];
    text += fmt::format("{:12.6f} {:14.12f} {:10} ", ms(static_cast<double>(value)),
                        fraction, below);
    text += fraction < 1 ? fmt::format("{:14.2f}\n", 1 / (1 - fraction)) : "inf\n";
    return below;
  };
  double left = 1;
  for (bool all = count_ == 0; !all; left /= 2) {
    for (int i = 0; i < steps && !all; ++i) {
      all = row(1 - left * (1 - 0.5 * i / steps)) == count_;
    }
  }
  if (count_ > 0) row(1);
  text += fmt::format("#[Mean    = {:12.6f}, StdDeviation   = {:12.6f}]\n", ms(mean()),
                      ms(deviation()));
  text += fmt::format("#[Max     = {:12.6f}, Total count    = {:12}]\n",
                      ms(static_cast<double>(max_)), count_);
  text += fmt::format("#[Buckets = {:12}, SubBuckets     = {:12}]\n",
                      value_bits - sub_bits, 1U << sub_bits);
  return text;
}

}  // namespace duel::load
