// options.hpp - the command line of duel-explore.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "runtimes/explore/models.hpp"

namespace duel::explore {

inline constexpr int exit_found = 1, exit_usage = 2;

struct options {
  std::vector<model> models;  // chosen, their memories and bounds as asked for
  bool list = false, sites = false, weaken = false, shows_trace = false;
  std::chrono::milliseconds time{};  // of a model in a memory; of a mutant with weaken
  unsigned part = 1, parts = 1;      // of the models; of the mutants with weaken
  std::optional<std::string> replay;
  std::optional<std::uint64_t> seed;  // draws executions instead of all
  unsigned depth = 3;
  std::uint64_t executions = 10'000;
  std::string mutate_text, mutate_file;  // as given; what `mutate` looks into
  mutation mutate;
  std::string json;  // file, or empty
};

// The exit status, if there is nothing to run: help, or an error, which has been printed.
std::expected<options, int> parse_command_line(int argc, char** argv);

// Prints one line.
void complain(const std::string& message);

}  // namespace duel::explore
