// sharded_corners.cpp - the sharded model on each driver.
#include "runtimes/corners.hpp"
#include "runtimes/drivers/epoll/epoll_driver.hpp"
#include "runtimes/drivers/uring/uring_driver.hpp"
#include "runtimes/sharded/scheduler.hpp"
#include "runtimes/uring_switches.hpp"

namespace duel {

namespace {

sharded::accept_policy policy_of(std::string_view name) {
  if (name == "least-loaded") return sharded::accept_policy::least_loaded;
  if (name == "round-robin") return sharded::accept_policy::round_robin;
  return sharded::accept_policy::reuseport;
}

made_model make(const model_options& options, const switches& chosen, const char* driver,
                sharded::driver_factory make_driver) {
  return sharded::make_scheduler({
      .shards = options.workers,
      .pin = chosen.is_on("pin"),
      .accept = policy_of(chosen.get("accept")),
      .budget = static_cast<std::uint16_t>(chosen.number("budget")),
      .spin = std::chrono::microseconds(chosen.number("spin-us")),
      .driver = driver,
      .settings = chosen.describe(),
      .make_driver = std::move(make_driver),
  });
}

}  // namespace

made_model make_sharded_epoll(const model_options& options, switches chosen) {
  return make(options, chosen, "epoll", [](timer_service& deadlines, counters&) {
    return epoll::make_driver(deadlines, epoll::sharing::one_thread);
  });
}

made_model make_sharded_uring(const model_options& options, switches chosen) {
  auto has = choose_uring(chosen);
  if (!has) return std::unexpected(has.error());
  return make(options, chosen, "uring", [has = *has](timer_service& t, counters& book) {
    return uring::make_driver(t, book, has);
  });
}

}  // namespace duel
