// main.cpp - duel-sim: scheduling policies on any number of cores, beside theory.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "bench/sim/options.hpp"
#include "bench/sim/report.hpp"

namespace duel::sim {
namespace {

json run_task(const options& o) {
  switch (o.what) {
    case options::task::tables:
      print_tables();
      return tables_json();
    case options::task::crossover: {
      auto curves = find_crossovers(o.question, true);
      print_crossover(o.question, curves);
      return crossover_json(o.question, curves);
    }
    case options::task::sweep:
      break;
  }
  auto points = run_sweep(o.setups, o.replications, o.threads, true);
  print_sweep(points, o.replications);
  return sweep_json(points, o.replications);
}

// Before the work, not after it.
bool is_writable(const std::string& path) {
  if (std::filesystem::is_directory(path)) return false;
  // What is no plain file is written in place (output_file.hpp), the rest beside it.
  std::error_code ignored;
  bool is_plain = is_regular_file(std::filesystem::symlink_status(path, ignored));
  if (!is_plain && std::filesystem::exists(path, ignored)) {
    return ::access(path.c_str(), W_OK) == 0;
  }
  auto folder = std::filesystem::absolute(path).parent_path();
  return ::access(folder.c_str(), W_OK) == 0;
}

int run(const options& o) {
  if (!o.json.empty() && !is_writable(o.json)) {
    complain(fmt::format("--json: cannot write {} (check the path and its permissions)",
                         o.json));
    return exit_usage;
  }
  auto result = run_task(o);
  if (o.json.empty()) return 0;
  (void)std::fflush(stdout);  // the file may be the same pipe
  auto error = write_json(o.json, result);
  if (error.empty()) return 0;
  return complain(error), exit_failure;
}

}  // namespace
}  // namespace duel::sim

int main(int argc, char** argv) {
  auto options = duel::sim::parse_command_line(argc, argv);
  if (!options) return options.error();
  try {
    return duel::sim::run(*options);
  } catch (const std::bad_alloc&) {
    duel::sim::complain("out of memory (lower --jobs or the load)");
  } catch (const std::exception& e) {
    duel::sim::complain(fmt::format("cannot run: {}", e.what()));
  }
  return duel::sim::exit_failure;
}
