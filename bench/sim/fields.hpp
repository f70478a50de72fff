// fields.hpp - reads NAME:NUMBER:NUMBER, and lists and ranges of numbers.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace duel::sim {

// Finite, and all of the text; else nothing.
std::optional<double> read_number(const std::string& text);

// The parts between the marks, empty ones too.
std::vector<std::string> split(const std::string& text, char mark);

// "a:1:2" is {"a", {1, 2}}; nothing if what follows a colon is no number.
std::optional<std::pair<std::string, std::vector<double>>> split_fields(
    const std::string& text);

// "0.1..0.5:0.1,0.7": both ends belong to a range. Nothing if it is malformed or has more
// than 10,000 values.
std::optional<std::vector<double>> read_numbers(const std::string& text);

}  // namespace duel::sim
