// scheduler_models.cpp - whole schedulers.
#include "runtimes/explore/models.hpp"

namespace duel::explore {

void add_scheduler_models(std::vector<model>& to) {
  (void)to;
}

}  // namespace duel::explore
