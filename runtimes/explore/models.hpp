// models.hpp - the models of the kit's own code, one file a part of it in models/.
#pragma once

#include <vector>

#include "runtimes/explore/explorer.hpp"

namespace duel::explore {

// task_models.cpp, join_models.cpp, blocking_models.cpp, channel_models.cpp: the state
// word, wakers, handles; tasks that own their thread; channels between tasks
void add_task_models(std::vector<model>& to);
// queue_models.cpp, mailbox_models.cpp: queues, mailboxes and doorbells, stacks
void add_queue_models(std::vector<model>& to);
// parking_models.cpp, parker_models.cpp, waiting_models.cpp, deadline_models.cpp: who
// sleeps and who wakes; readiness, stops, deadlines, timers
void add_parking_models(std::vector<model>& to);
// scheduler_models.cpp, sharded_models.cpp: whole schedulers
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
