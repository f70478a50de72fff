#include "runtimes/models.hpp"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <thread>

#include "runtimes/drivers/blocking/blocking_driver.hpp"
#include "runtimes/drivers/epoll/epoll_driver.hpp"
#include "runtimes/drivers/uring/uring_driver.hpp"
#include "runtimes/serial/serial_scheduler.hpp"
#include "runtimes/sharded/scheduler.hpp"
#include "runtimes/stealing/scheduler.hpp"
#include "runtimes/threads/threads_scheduler.hpp"

namespace duel {

namespace {

// More than any machine the kit is meant for has CPUs.
constexpr unsigned most_workers = 1024;

using made = std::expected<std::unique_ptr<scheduler>, std::string>;

template <auto Make>
made make_blocking(const model_options&) {
  return Make(make_blocking_driver());
}

made make_stealing(const model_options& options) {
  return stealing::make_scheduler(options.workers, "epoll", epoll::make_driver);
}

made make_sharded(const model_options& options) {
  auto chosen = uring::supported({});
  if (!chosen) return std::unexpected(chosen.error());
  return sharded::make_scheduler({
      .shards = options.workers,
      .driver = "uring",
      .driver_settings = uring::describe(*chosen),
      .make_driver =
          [chosen = *chosen](timer_service& deadlines) {
            return uring::make_driver(deadlines, chosen);
          },
  });
}

struct model {
  std::string_view name;
  std::string_view driver;  // the one it has
  made (*make)(const model_options&);
};

constexpr std::array models{
    model{"serial", "blocking", make_blocking<serial::make_scheduler>},
    model{"threads", "blocking", make_blocking<threads::make_scheduler>},
    model{"stealing", "epoll", make_stealing},
    model{"sharded", "uring", make_sharded},
};

std::string known_models() {
  std::string names;
  for (const model& m : models) {
    names += (names.empty() ? "" : ", ") + std::string(m.name);
  }
  return names;
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

made make_model(const model_options& options) {
  if (options.workers < 1) return std::unexpected("--workers must be at least 1");
  if (options.workers > most_workers) {
    return std::unexpected(fmt::format("--workers must be at most {}", most_workers));
  }
  for (const model& m : models) {
    if (m.name != options.model) continue;
    if (!options.driver.empty() && options.driver != m.driver) {
      return std::unexpected(fmt::format("model {} has no driver '{}' (drivers: {})",
                                         m.name, options.driver, m.driver));
    }
    return m.make(options);
  }
  return std::unexpected(
      fmt::format("no model '{}' (models: {})", options.model, known_models()));
}

}  // namespace duel
