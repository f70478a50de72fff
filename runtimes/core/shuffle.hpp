// shuffle.hpp - draws, from a seed, every order that no program may rely on.
//
// Only where invariants are checked (DUEL_CHECKS), and only while the environment
// variable DUEL_SHUFFLE names a seed; description() then says so. Elsewhere it is an
// empty class whose answers are constants, so its callers compile to what they were. Each
// worker and shard has one, for its own thread. What is promised, and so kept, stands in
// DESIGN.md.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "runtimes/core/task.hpp"

namespace duel {

template <bool IsBuilt>
class basic_shuffle {
 public:
  explicit basic_shuffle(unsigned) noexcept {}
  [[nodiscard]] static constexpr bool is_on() noexcept { return false; }
  [[nodiscard]] static constexpr std::uint16_t budget(std::uint16_t usual) noexcept {
    return usual;
  }
  [[nodiscard]] static constexpr std::size_t draw(std::size_t) noexcept { return 0; }
  static constexpr void arrange(std::span<task*>) noexcept {}
  [[nodiscard]] static std::string description() { return {}; }
  // What is wrong with the variable, one line for the user; empty: nothing.
  [[nodiscard]] static std::string complaint() {
    return std::getenv("DUEL_SHUFFLE")
               ? "DUEL_SHUFFLE is set, but this build cannot shuffle (unset it, or build "
                 "with DUEL_CHECKS=ON as the dev preset does)"
               : "";
  }
};

template <>
class basic_shuffle<true> {
 public:
  // `who`: the worker or shard; each draws numbers of its own.
  explicit basic_shuffle(unsigned who) noexcept
      : state_(seed() + who * 0x9e3779b97f4a7c15u) {}

  [[nodiscard]] static bool is_on() noexcept { return seed() != 0; }

  // 0 .. below-1.
  [[nodiscard]] std::size_t draw(std::size_t below) noexcept {
    auto z = state_ += 0x9e3779b97f4a7c15u;  // splitmix64: any seed will do
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return static_cast<std::size_t>((z ^ (z >> 31)) % below);
  }

  // Of a task's next step: every other one meets a yield at one of its first operations.
  [[nodiscard]] std::uint16_t budget(std::uint16_t usual) noexcept {
    if (!is_on() || draw(2) == 0) return usual;
    return std::min(usual, static_cast<std::uint16_t>(draw(4)));
  }

  // `ready`, in their order, come in any other that lets all that were ready when a task
  // yielded go before it.
  void arrange(std::span<task*> ready) noexcept {
    for (; ready.size() > 1; ready = ready.subspan(1)) {
      auto drawn = draw(ready.size());
      if (ready[drawn]->yields) drawn = 0;
      auto* chosen = ready.data() + drawn;
      std::rotate(ready.data(), chosen, chosen + 1);
    }
  }

  [[nodiscard]] static std::string description() {
    return is_on() ? " shuffle=" + std::to_string(seed()) : "";
  }
  [[nodiscard]] static std::string complaint() {
    const char* given = std::getenv("DUEL_SHUFFLE");
    if (!given || is_on()) return "";
    return "DUEL_SHUFFLE: '" + std::string(given) +
           "' is not a seed (1..18446744073709551615)";
  }

 private:
  // 0: off. Read once: what is on stays on.
  [[nodiscard]] static std::uint64_t seed() noexcept {
    static const std::uint64_t chosen = [] {
      const char* given = std::getenv("DUEL_SHUFFLE");
      std::string_view text = given ? given : "";
      std::uint64_t number = 0;
      auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
      return error == std::errc{} && end == text.data() + text.size() ? number : 0;
    }();
    return chosen;
  }

  std::uint64_t state_;
};

// Off in the explorer, which draws orders itself.
using shuffle = basic_shuffle<checks_enabled && !sync::exploring>;

}  // namespace duel
