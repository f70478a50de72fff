// stealing_corners.cpp - the stealing model on each driver.
#include "runtimes/corners.hpp"
#include "runtimes/drivers/epoll/epoll_driver.hpp"
#include "runtimes/stealing/scheduler.hpp"

namespace duel {

made_model make_stealing_epoll(const model_options& options, switches chosen) {
  return stealing::make_scheduler({
      .workers = options.workers,
      .driver = "epoll",
      .settings = chosen.describe(),
      .make_driver = epoll::make_driver,
  });
}

}  // namespace duel
