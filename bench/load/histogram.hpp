// histogram.hpp - counts of durations (ns) in log-linear buckets: 128 to every power of
// two, so that a bucket is at most 1/128 of its values wide. Fixed size, 39 KiB; merging
// adds.
//
// Count, sum and largest value are exact; percentiles are the upper end of their bucket,
// never above the largest value. From one thread.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <vector>

namespace duel::load {

class histogram {
 public:
  static constexpr unsigned sub_bits = 7;
  static constexpr unsigned value_bits = 45;  // nearly ten hours; longer goes to the last
  static constexpr std::size_t buckets =
      ((value_bits - sub_bits - 1) << sub_bits) + (std::size_t{2} << sub_bits);

  static constexpr std::size_t index_of(std::uint64_t value) {
    if (value >> value_bits) return buckets - 1;
    auto width = static_cast<unsigned>(std::bit_width(value));
    unsigned shift = width > sub_bits + 1 ? width - sub_bits - 1 : 0;
    return (std::size_t{shift} << sub_bits) + (value >> shift);
  }
  static constexpr std::uint64_t lowest(std::size_t index) {
    if (index < (std::size_t{2} << sub_bits)) return index;
    auto shift = (index >> sub_bits) - 1;
    return (index - (shift << sub_bits)) << shift;
  }
  static constexpr std::uint64_t highest(std::size_t index) {
    return lowest(index + 1) - 1;
  }

  void add(std::uint64_t value) {
    ++counts_[index_of(value)];
    ++count_;
    sum_ += static_cast<double>(value);
    if (value > max_) max_ = value;
  }
  void merge(const histogram& other);

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t count_in(std::size_t index) const { return counts_[index]; }
  [[nodiscard]] std::uint64_t max() const { return max_; }
  [[nodiscard]] double mean() const;       // 0 when empty
  [[nodiscard]] double deviation() const;  // standard, from the middles of the buckets
  // The least value that `fraction` of all are not above; 0 when empty.
  [[nodiscard]] std::uint64_t percentile(double fraction) const;

  // HdrHistogram's percentile table, in milliseconds, as its plotters read it.
  [[nodiscard]] std::string to_hgrm() const;

 private:
  std::vector<std::uint64_t> counts_ = std::vector<std::uint64_t>(buckets);
  std::uint64_t count_ = 0, max_ = 0;
  double sum_ = 0;
};

}  // namespace duel::load
