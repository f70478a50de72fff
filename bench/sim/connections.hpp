// connections.hpp - who sends: which connection, to which core it belongs, and that its
// requests are served one at a time.
#pragma once

#include <vector>

#include "bench/sim/job.hpp"
#include "bench/sim/setup.hpp"

namespace duel::sim {

class connection_table {
 public:
  connection_table(const setup& s, random_stream& random);

  [[nodiscard]] bool is_empty() const noexcept { return table_.empty(); }
  // By the rates of a Zipf law.
  std::uint32_t draw(random_stream& random) const noexcept;
  // Of the requests, by the same law.
  [[nodiscard]] double share(std::uint32_t connection) const noexcept;
  [[nodiscard]] std::uint32_t home(std::uint32_t connection) const noexcept {
    return table_[connection].home;
  }

  // False: an earlier request of the connection is in the system; `j` waits.
  bool admit(std::uint32_t connection, job_pool& jobs, job_id j) noexcept;
  // The request that had waited for the one just answered, or none.
  job_id after(std::uint32_t connection, job_pool& jobs) noexcept;

 private:
  struct sender {
    std::uint32_t home = 0;
    bool is_busy = false;
    job_queue waiting;
  };

  void share_out(const setup& s, random_stream& random);
  void weigh();

  bool is_ordered_;
  double zipf_, weights_ = 0;  // all weights together
  std::vector<sender> table_;
  // Walker's alias method: column i is i itself up to `chance_[i]`, else `alias_[i]`.
  std::vector<double> chance_;
  std::vector<std::uint32_t> alias_;
};

}  // namespace duel::sim
