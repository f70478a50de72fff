// random.hpp - a counter-based generator: a value is a function of the seed, what it is
// for, the connection and the request's number. So a trace needs no memory and does not
// depend on the order of answers, on the number of threads, or on the server.
#pragma once

#include <cmath>
#include <cstdint>

namespace duel::load {

enum class purpose : std::uint64_t {
  gap,
  phase,
  service,
  rounding,
  angle,
  think,
  id,
  size
};

// The output function of SplitMix64.
constexpr std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9;
  x ^= x >> 27;
  x *= 0x94d049bb133111eb;
  return x ^ x >> 31;
}

constexpr std::uint64_t draw(std::uint64_t seed, purpose what, std::uint64_t connection,
                             std::uint64_t index) {
  constexpr std::uint64_t golden = 0x9e3779b97f4a7c15;
  std::uint64_t x = mix(seed + golden * (static_cast<std::uint64_t>(what) + 1));
  x = mix(x + golden * (connection + 1));
  return mix(x + golden * (index + 1));
}

// Above 0 and below 1.
constexpr double draw_unit(std::uint64_t seed, purpose what, std::uint64_t connection,
                           std::uint64_t index) {
  return (static_cast<double>(draw(seed, what, connection, index) >> 12) + 0.5) * 0x1p-52;
}

// Exponential with mean 1.
inline double draw_exponential(std::uint64_t seed, purpose what, std::uint64_t connection,
                               std::uint64_t index) {
  return -std::log(draw_unit(seed, what, connection, index));
}

}  // namespace duel::load
