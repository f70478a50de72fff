#include "runtimes/explore/models.hpp"

#include "runtimes/core/task.hpp"
#include "runtimes/sharded/shard.hpp"
#include "runtimes/stealing/scheduler.hpp"

namespace duel::explore {

std::vector<model> all_models() {
  std::vector<model> all;
  add_task_models(all);
  add_queue_models(all);
  add_parking_models(all);
  add_scheduler_models(all);
  add_sharded_models(all);
  return all;
}

void keep_thread_locals_apart() {
  auto erased = [](auto& pointer) { return reinterpret_cast<void**>(&pointer); };
  world.keep_apart({erased(duel::detail::running_task),
                    erased(stealing::detail::thread_worker),
                    erased(sharded::this_shard)});
}

}  // namespace duel::explore
