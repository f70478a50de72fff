// task_models.cpp - the state word and its owners.
#include "runtimes/explore/models.hpp"

namespace duel::explore {

void add_task_models(std::vector<model>& to) {
  (void)to;
}

}  // namespace duel::explore
