#include "runtimes/serial/serial_scheduler.hpp"

#include "runtimes/core/blocking_scheduler.hpp"
#include "runtimes/core/join_handle.hpp"

namespace duel::serial {

namespace {

class serial_scheduler final : public blocking_scheduler {
 public:
  explicit serial_scheduler(std::unique_ptr<driver> io) noexcept
      : blocking_scheduler(std::move(io), counters::writers::one) {}

  void run(std::move_only_function<void()> main) override {
    std::exception_ptr failure;
    spawn(make_main_task(*this, std::move(main), failure));
    if (failure) std::rethrow_exception(failure);
  }

  void spawn(task& t) override {
    link(t);
    run_linked(t);
  }

  [[nodiscard]] std::string description() const override {
    return "model=serial driver=blocking workers=1";
  }
};

}  // namespace

std::unique_ptr<scheduler> make_scheduler(std::unique_ptr<driver> io) {
  return std::make_unique<serial_scheduler>(std::move(io));
}

}  // namespace duel::serial
