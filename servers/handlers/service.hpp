// service.hpp - what the handlers share: the store, the connections open now, the time.
//
// Handlers are plain functions in a table, so they find it through service::current().
// One at a time; made before the server runs and destroyed after.
#pragma once

#include "runtimes/api/time.hpp"
#include "servers/handlers/store.hpp"

namespace duel::handlers {

class service {
 public:
  // `settings`: "state=shared", what the server itself has chosen, as in a description().
  service(store& kept, std::string settings) noexcept;
  ~service();
  service(const service&) = delete;
  service& operator=(const service&) = delete;
  [[nodiscard]] static service& current() noexcept;

  // While one lives, a connection is open.
  class open_scope {
   public:
    explicit open_scope(service& in) noexcept : in_(in) { in_.opened(); }
    ~open_scope() { --in_.open_; }
    open_scope(const open_scope&) = delete;
    open_scope& operator=(const open_scope&) = delete;

   private:
    service& in_;
  };
  [[nodiscard]] std::uint64_t open() const noexcept { return open_; }
  [[nodiscard]] std::uint64_t most_open() const noexcept { return most_open_; }

  [[nodiscard]] duration uptime() const noexcept { return coarse_now() - began_; }
  [[nodiscard]] const std::string& settings() const noexcept { return settings_; }

  store& kv;

 private:
  void opened() noexcept;

  const std::string settings_;
  const time_point began_ = coarse_now();
  // Touched once a connection, not once a request.
  std::atomic<std::uint64_t> open_{0}, most_open_{0};
};

}  // namespace duel::handlers
