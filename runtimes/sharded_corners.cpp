// sharded_corners.cpp - the sharded model on each driver.
#include "runtimes/corners.hpp"
#include "runtimes/drivers/uring/uring_driver.hpp"
#include "runtimes/sharded/scheduler.hpp"

namespace duel {

made_model make_sharded_uring(const model_options& options, switches chosen) {
  auto has = uring::supported({});
  if (!has) return std::unexpected(has.error());
  return sharded::make_scheduler({
      .shards = options.workers,
      .pin = chosen.is_on("pin"),
      .driver = "uring",
      .settings = chosen.describe(),
      .make_driver =
          [has = *has](timer_service& deadlines) {
            return uring::make_driver(deadlines, has);
          },
  });
}

}  // namespace duel
