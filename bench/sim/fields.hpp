// fields.hpp - reads numbers, times, and lists and ranges of numbers.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace duel::sim {

// Finite, and all of the text; else nothing.
std::optional<double> read_number(const std::string& text);

// The parts between the marks, empty ones too.
std::vector<std::string> split(const std::string& text, char mark);

// In microseconds: "50us", "1.5ms", "2s", or without a unit. Not below 0.
std::optional<double> read_time(const std::string& text);

// "0.1..0.5:0.1,0.7": both ends belong to a range. Nothing if it is malformed or has more
// than 10,000 values.
std::optional<std::vector<double>> read_numbers(const std::string& text);

}  // namespace duel::sim
