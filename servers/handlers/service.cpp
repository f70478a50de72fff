#include "servers/handlers/service.hpp"

namespace duel::handlers {

namespace {
service* the_one = nullptr;
}

service::service(store& kept, std::string settings) noexcept
    : kv(kept), settings_(std::move(settings)) {
  DUEL_ASSERT(!the_one);
  the_one = this;
}

service::~service() {
  the_one = nullptr;
}

service& service::current() noexcept {
  DUEL_ASSERT(the_one);
  return *the_one;
}

void service::opened() noexcept {
  auto now = ++open_;
  auto most = most_open_.load();
  while (most < now && !most_open_.compare_exchange_weak(most, now)) {
  }
}

}  // namespace duel::handlers
