// options.hpp - the command line of duel-sim.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "bench/sim/crossover.hpp"
#include "bench/sim/setup.hpp"

namespace duel::sim {

inline constexpr int exit_failure = 1, exit_usage = 2;

struct options {
  enum class task { sweep, crossover, tables };

  task what = task::sweep;
  std::vector<setup> setups;  // of a sweep, in the order of its rows
  crossover_question question;
  unsigned replications = 10, threads = 1;
  std::string json;  // file, or empty
};

// The exit status, if there is nothing to run: help, or an error, which has been printed.
std::expected<options, int> parse_command_line(int argc, char** argv);

// Prints one line.
void complain(const std::string& message);

}  // namespace duel::sim
