// histogram.hpp - quantiles in bounded memory: log-linear buckets, 1024 an octave.
//
// A quantile is off by less than 0.1 % of its value, and exact where all values of its
// bucket are the same, as those of a constant service time are.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

namespace duel::sim {

class histogram {
 public:
  histogram() : buckets_(octaves << bits) {}

  void add(double value) noexcept {
    auto& b = buckets_[index(value)];
    b.least = b.count == 0 ? value : std::min(b.least, value);
    b.most = b.count == 0 ? value : std::max(b.most, value);
    ++b.count;
    ++total_;
  }

  // Interpolated within the bucket; 0 without values.
  [[nodiscard]] double quantile(double p) const noexcept {
    double wanted = p * static_cast<double>(total_), seen = 0;
    for (const auto& b : buckets_) {
      auto here = static_cast<double>(b.count);
      if (here > 0 && seen + here >= wanted) {
        return b.least + (b.most - b.least) * std::max(0.0, (wanted - seen) / here);
      }
      seen += here;
    }
    return 0;
  }

  [[nodiscard]] std::uint64_t total() const noexcept { return total_; }

 private:
  static constexpr unsigned bits = 10;
  static constexpr std::uint64_t octaves = 64, first_exponent = 1023 - 24;

  // A positive double's upper bits count up as its logarithm does.
  static std::size_t index(double value) noexcept {
    auto upper = std::bit_cast<std::uint64_t>(value) >> (52 - bits);
    auto first = first_exponent << bits;
    if (upper < first) return 0;
    return std::min<std::size_t>(upper - first, (octaves << bits) - 1);
  }

  struct bucket {
    std::uint64_t count = 0;
    double least = 0, most = 0;
  };

  std::vector<bucket> buckets_;
  std::uint64_t total_ = 0;
};

}  // namespace duel::sim
