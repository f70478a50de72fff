// report.hpp - an execution for people: a column a thread, a line a step.
#pragma once

#include <string>

#include "runtimes/explore/story.hpp"

namespace duel::explore {

// Columns of the terminal, at least 100; 120 without one.
[[nodiscard]] unsigned width_of_terminal();

// `flags` reproduce the execution, behind "./duel explore".
void print(const model& m, const verdict& v, const story& s, const std::string& flags,
           unsigned width);

}  // namespace duel::explore
