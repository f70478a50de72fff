// epoll_driver.hpp - readiness I/O through libevent: try at once, wait for readiness, try
// again.
//
// Every descriptor is registered once, edge-triggered, for both directions, so that
// waiting costs no system call; readiness.hpp keeps what the edges said. One base is
// shared by all workers of a scheduler: adopt, close and perform on any of them, poll by
// one at a time. Or it has one thread, its shard's, and libevent takes no lock.
#pragma once

#include <memory>

#include "runtimes/core/polled_driver.hpp"
#include "runtimes/core/timer.hpp"

namespace duel::epoll {

enum class sharing { many_threads, one_thread };

// `deadlines` must outlive the driver. Errors: what epoll_create or eventfd say.
[[nodiscard]] result<std::unique_ptr<polled_driver>> make_driver(timer_service& deadlines,
                                                                 sharing users);

}  // namespace duel::epoll
