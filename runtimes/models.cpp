#include "runtimes/models.hpp"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <thread>

#include "runtimes/core/pinned_thread.hpp"
#include "runtimes/core/shuffle.hpp"
#include "runtimes/corners.hpp"
#include "runtimes/drivers/blocking/blocking_driver.hpp"
#include "runtimes/serial/serial_scheduler.hpp"
#include "runtimes/threads/threads_scheduler.hpp"

namespace duel {

namespace {

// More than any machine the kit is meant for has CPUs.
constexpr unsigned most_workers = 1024;

template <auto Make>
made_model make_blocking(const model_options&, switches) {
  return Make(make_blocking_driver());
}

// The first of a model has its default driver.
struct corner {
  std::string_view model;
  std::string_view driver;
  made_model (*make)(const model_options&, switches);
};

constexpr std::array corners{
    corner{"serial", "blocking", make_blocking<serial::make_scheduler>},
    corner{"threads", "blocking", make_blocking<threads::make_scheduler>},
    corner{"stealing", "epoll", make_stealing_epoll},
    corner{"stealing", "uring", make_stealing_uring},
    corner{"sharded", "uring", make_sharded_uring},
    corner{"sharded", "epoll", make_sharded_epoll},
};

std::string unknown_corner(const model_options& options) {
  std::string models, drivers;
  std::string_view last;
  for (const corner& c : corners) {
    if (c.model == options.model) drivers += fmt::format(", {}", c.driver);
    if (c.model != std::exchange(last, c.model)) models += fmt::format(", {}", c.model);
  }
  if (!drivers.empty()) {
    return fmt::format("model {} has no driver '{}' (drivers: {})", options.model,
                       options.driver, drivers.substr(2));
  }
  return fmt::format("no model '{}' (models: {})", options.model, models.substr(2));
}

}  // namespace

unsigned model_options::available_cpus() noexcept {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
    return static_cast<unsigned>(CPU_COUNT(&allowed));
  }
  // The machine has more CPUs than the set holds.
  return std::max(1u, std::thread::hardware_concurrency());
}

made_model make_model(const model_options& options) {
  if (auto wrong = shuffle::complaint(); !wrong.empty()) return std::unexpected(wrong);
  if (options.workers < 1) return std::unexpected("--workers must be at least 1");
  if (options.workers > most_workers) {
    return std::unexpected(fmt::format("--workers must be at most {}", most_workers));
  }
  for (const corner& c : corners) {
    if (c.model != options.model) continue;
    if (!options.driver.empty() && c.driver != options.driver) continue;
    auto chosen = switches::choose(c.model, c.driver, options.switches);
    if (!chosen) return std::unexpected(chosen.error());
    if (chosen->has("pin") && allowed_cpus().empty()) chosen->force("pin", "off");
    return c.make(options, std::move(*chosen));
  }
  return std::unexpected(unknown_corner(options));
}

}  // namespace duel
