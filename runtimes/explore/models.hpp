// models.hpp - the models of the kit's own code, one file a part of it in models/.
#pragma once

#include <vector>

#include "runtimes/explore/explorer.hpp"

namespace duel::explore {

// models/task_models.cpp, join_models.cpp: the state word, wakers, handles
void add_task_models(std::vector<model>& to);
// models/queue_models.cpp: run queue, inject queue, mailbox, stack pool
void add_queue_models(std::vector<model>& to);
// models/parking_models.cpp: who sleeps and who wakes; readiness, deadlines
void add_parking_models(std::vector<model>& to);
// models/scheduler_models.cpp, sharded_models.cpp: whole schedulers
void add_scheduler_models(std::vector<model>& to);
void add_sharded_models(std::vector<model>& to);

// All of them, in this order.
[[nodiscard]] std::vector<model> all_models();

// Wrong on purpose: models/example_models.cpp.
[[nodiscard]] std::vector<model> example_models();

// For every program that runs models: the kit's thread-local pointers are each explored
// thread's own.
void keep_thread_locals_apart();

}  // namespace duel::explore
