// parking_models.cpp - who sleeps and who wakes.
#include "runtimes/explore/models.hpp"

namespace duel::explore {

void add_parking_models(std::vector<model>& to) {
  (void)to;
}

}  // namespace duel::explore
