// stealing_corners.cpp - the stealing model on each driver.
#include "runtimes/corners.hpp"
#include "runtimes/drivers/epoll/epoll_driver.hpp"
#include "runtimes/drivers/uring/oneshot_driver.hpp"
#include "runtimes/stealing/scheduler.hpp"
#include "runtimes/uring_switches.hpp"

namespace duel {

namespace {

stealing::options options_of(const model_options& options, const switches& chosen,
                             std::string driver) {
  return {
      .workers = options.workers,
      .driver = std::move(driver),
      .settings = chosen.describe(),
      .steal_most = chosen.get("steal") == "off"   ? 0u
                    : chosen.get("steal") == "one" ? 1u
                                                   : ~0u,
      .lifo = chosen.is_on("lifo"),
      .global_queue = chosen.get("queue") == "global",
      .polls = chosen.get("reactor") == "thread"       ? stealing::reactor::thread
               : chosen.get("reactor") == "per-worker" ? stealing::reactor::per_worker
                                                       : stealing::reactor::shared,
      .pin = chosen.is_on("pin"),
      .spin = std::chrono::microseconds(chosen.number("spin-us")),
      .make_driver = {},
  };
}

}  // namespace

made_model make_stealing_epoll(const model_options& options, switches chosen) {
  auto wanted = options_of(options, chosen, "epoll");
  wanted.budget = static_cast<std::uint16_t>(chosen.number("budget"));
  wanted.make_driver = [](timer_service& deadlines, counters&) {
    return epoll::make_driver(deadlines, epoll::sharing::many_threads);
  };
  return stealing::make_scheduler(std::move(wanted));
}

made_model make_stealing_uring(const model_options& options, switches chosen) {
  auto has = choose_uring(chosen);
  if (!has) return std::unexpected(has.error());
  auto wanted = options_of(options, chosen, "uring");
  wanted.make_driver = [has = *has](timer_service&, counters& book) {
    return uring::make_oneshot_driver(book, has);
  };
  return stealing::make_scheduler(std::move(wanted));
}

}  // namespace duel
