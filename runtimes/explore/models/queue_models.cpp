// queue_models.cpp - queues and pools.
#include "runtimes/explore/models.hpp"

namespace duel::explore {

void add_queue_models(std::vector<model>& to) {
  (void)to;
}

}  // namespace duel::explore
