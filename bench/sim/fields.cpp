#include "bench/sim/fields.hpp"

#include <charconv>
#include <cmath>
#include <cstring>
#include <utility>

namespace duel::sim {

std::optional<double> read_number(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || !std::isfinite(value)) return {};
  return value;
}

std::vector<std::string> split(const std::string& text, char mark) {
  std::vector<std::string> parts;
  std::size_t from = 0;
  for (auto to = text.find(mark); to != std::string::npos; to = text.find(mark, from)) {
    parts.push_back(text.substr(from, to - from));
    from = to + 1;
  }
  parts.push_back(text.substr(from));
  return parts;
}

std::optional<double> read_time(const std::string& text) {
  double unit = 1;
  std::size_t letters = 0;
  for (auto [name, us] :
       {std::pair{"us", 1.0}, std::pair{"ms", 1e3}, std::pair{"s", 1e6}}) {
    if (letters > 0 || !text.ends_with(name)) continue;
    unit = us;
    letters = std::strlen(name);
  }
  auto value = read_number(text.substr(0, text.size() - letters));
  if (!value || *value < 0) return {};
  return *value * unit;
}

std::optional<std::vector<double>> read_numbers(const std::string& text) {
  constexpr double most = 10'000;
  std::vector<double> values;
  for (const auto& part : split(text, ',')) {
    auto dots = part.find("..");
    if (dots == std::string::npos) {
      auto value = read_number(part);
      if (!value) return {};
      values.push_back(*value);
      continue;
    }
    auto colon = part.find(':', dots);
    if (colon == std::string::npos) return {};
    auto from = read_number(part.substr(0, dots));
    auto to = read_number(part.substr(dots + 2, colon - dots - 2));
    auto step = read_number(part.substr(colon + 1));
    if (!from || !to || !step || *step <= 0 || *to < *from) return {};
    double count = std::floor((*to - *from) / *step + 1e-9);
    if (count > most) return {};
    // From the index, not by adding: a sum of steps drifts.
    for (double i = 0; i <= count; ++i) {
      values.push_back(std::round((*from + i * *step) * 1e9) / 1e9);
    }
  }
  if (values.size() > static_cast<std::size_t>(most)) return {};
  return values;
}

}  // namespace duel::sim
