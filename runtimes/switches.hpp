// switches.hpp - every choice a model leaves to the user, as data: its values, its
// default, and where it applies.
//
// A switch given where it does not apply is an error, never ignored. The effective
// choices, defaults and what a kernel forced included, are stated by description().
#pragma once

#include <expected>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace duel {

// One switch in one corner (model x driver). A switch that differs between corners has
// several of these, under one name.
struct model_switch {
  std::string_view name;    // "steal", the flag without its dashes
  std::string_view model;   // "stealing"; empty: both fiber models
  std::string_view driver;  // "uring"; empty: whichever the model has
  std::string_view values;  // "half|one|off"; numbers as "0..1000000"; both: "turn|1..64"
  std::string_view initial;  // its value when the user says nothing
  std::string_view help;
};

[[nodiscard]] std::span<const model_switch> known_switches() noexcept;

// The switches of one corner, each with its value.
class switches {
 public:
  // `given`: name to value, as typed. The error is one line for the user.
  [[nodiscard]] static std::expected<switches, std::string> choose(
      std::string_view model, std::string_view driver,
      const std::map<std::string, std::string>& given);

  // The switch applies here.
  [[nodiscard]] bool has(std::string_view name) const noexcept;
  [[nodiscard]] std::string_view get(std::string_view name) const;
  [[nodiscard]] unsigned number(std::string_view name) const;
  [[nodiscard]] bool is_on(std::string_view name) const { return get(name) == "on"; }

  // What the kernel left of a choice.
  void force(std::string_view name, std::string_view value);

  // "steal=half lifo=on ...", in the order of known_switches().
  [[nodiscard]] std::string describe() const;

 private:
  struct choice {
    std::string_view name;
    std::string value;
  };
  std::vector<choice> chosen_;
};

}  // namespace duel
