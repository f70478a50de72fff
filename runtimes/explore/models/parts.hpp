// parts.hpp - models that stand in files of their own within a part of models.hpp.
#pragma once

#include "runtimes/explore/models.hpp"

namespace duel::explore {

// Of the queues: mailbox_models.cpp, with stacks.
void add_mailbox_models(std::vector<model>& to);
// Of parking: parker_models.cpp; waiting_models.cpp, with readiness and who waits for it;
// deadline_models.cpp.
void add_parker_models(std::vector<model>& to);
void add_waiting_models(std::vector<model>& to);
void add_deadline_models(std::vector<model>& to);

}  // namespace duel::explore
