// random.hpp - the simulator's random numbers: the same on every machine.
//
// xoshiro256++ (Blackman and Vigna), started by splitmix64 from seed, replication and
// purpose. Arrivals, service times and decisions have a stream each, so that all policies
// of one seed see the same requests. One thread at a time.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace duel::sim {

class random_stream {
 public:
  enum class purpose : std::uint64_t { arrivals = 1, service, placement, decisions };

  random_stream(std::uint64_t seed, std::uint64_t replication, purpose what) noexcept {
    auto mixed = mix(seed);
    mixed = mix(mixed + replication);
    mixed = mix(mixed + static_cast<std::uint64_t>(what));
    for (auto& each : state_) each = mixed = mix(mixed);
  }

  std::uint64_t next() noexcept {
    auto& s = state_;
    auto drawn = std::rotl(s[0] + s[3], 23) + s[0];
    auto shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = std::rotl(s[3], 45);
    return drawn;
  }

  // Above 0, at most 1: its logarithm is finite.
  double uniform() noexcept { return static_cast<double>((next() >> 11) + 1) * 0x1p-53; }

  // 0 to n - 1. The bias of the multiplication is below n / 2^64.
  std::uint32_t below(std::uint32_t n) noexcept {
    return static_cast<std::uint32_t>((static_cast<unsigned __int128>(next()) * n) >> 64);
  }

  double exponential(double mean) noexcept { return -mean * std::log(uniform()); }

  double normal() noexcept {
    double radius = std::sqrt(-2 * std::log(uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }

 private:
  // A step of splitmix64: no input, 0 included, is special.
  static std::uint64_t mix(std::uint64_t z) noexcept {
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  std::array<std::uint64_t, 4> state_;
};

}  // namespace duel::sim
