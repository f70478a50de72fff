// policy.hpp - who runs which job: the seam between the engine and the policies.
#pragma once

#include <cstdint>
#include <memory>

#include "bench/sim/job.hpp"
#include "bench/sim/setup.hpp"

namespace duel::sim {

class engine;

class policy {
 public:
  virtual ~policy() = default;

  // `j` may run from now on. Also called from within engine::complete.
  virtual void offer(job_id j) = 0;
  // A timer has run out that was set for `who`; `ticket` is what set_timer returned.
  virtual void on_timer(std::uint32_t who, std::uint64_t ticket) = 0;
};

std::unique_ptr<policy> make_policy(const setup& s, engine& e);

// By family; make_policy chooses.
std::unique_ptr<policy> make_queued_policy(const setup& s, engine& e);
std::unique_ptr<policy> make_stealing_policy(const setup& s, engine& e);
std::unique_ptr<policy> make_sharing_policy(const setup& s, engine& e);

}  // namespace duel::sim
