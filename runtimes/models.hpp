// models.hpp - names to execution models: the one place that knows them all.
//
// model = scheduler x driver. A combination that does not exist, a worker count of zero,
// a driver the kernel refuses: an error of one line that says what to do instead.
#pragma once

#include <expected>
#include <map>
#include <memory>
#include <string>

#include "runtimes/core/scheduler.hpp"

namespace duel {

struct model_options {
  std::string model = "stealing";       // serial, threads, stealing, sharded
  std::string driver;                   // empty: the model's default
  unsigned workers = available_cpus();  // workers or shards; serial and threads ignore it
  std::map<std::string, std::string> switches;  // name to value: switches.hpp

  static unsigned available_cpus() noexcept;  // CPUs this process may run on
};

// The error is a message for the user, without a program name or a newline.
[[nodiscard]] std::expected<std::unique_ptr<scheduler>, std::string> make_model(
    const model_options& options);

}  // namespace duel
