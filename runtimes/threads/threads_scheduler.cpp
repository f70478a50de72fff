#include "runtimes/threads/threads_scheduler.hpp"

#include <pthread.h>

#include <condition_variable>
#include <optional>

#include "runtimes/core/blocking_scheduler.hpp"
#include "runtimes/core/join_handle.hpp"

namespace duel::threads {

namespace {

// 256 KiB: four times a fiber's stack, because thread-local storage and the C library's
// own needs come out of it; only touched pages cost memory. The sanitizers need more.
constexpr std::size_t thread_stack_size = (under_asan || under_tsan ? 1024 : 256) * 1024;

class threads_scheduler final : public blocking_scheduler {
 public:
  explicit threads_scheduler(std::unique_ptr<driver> io) noexcept
      : blocking_scheduler(std::move(io), counters::writers::many) {
    ::pthread_attr_init(&attributes_);
    ::pthread_attr_setstacksize(&attributes_, thread_stack_size);
  }
  ~threads_scheduler() override { ::pthread_attr_destroy(&attributes_); }

  void run(std::move_only_function<void()> main) override {
    std::exception_ptr failure;
    task& first = make_main_task(*this, std::move(main), failure);
    link(first);
    run_linked(first);
    std::unique_lock lock(ends_mutex_);
    all_ended_.wait(lock, [this] { return threads_ == 0; });
    if (last_ended_) ::pthread_join(*std::exchange(last_ended_, std::nullopt), nullptr);
    if (failure) std::rethrow_exception(failure);
  }

  void spawn(task& t) override {
    link(t);
    note_thread(+1);
    pthread_t started;
    int error = ::pthread_create(&started, &attributes_, &thread_main, &t);
    if (error == 0) return;
    unlink(t);
    note_thread(-1);
    throw std::system_error(error, std::generic_category(),
                            "cannot start a thread for a task (raise ulimit -u, "
                            "kernel.threads-max or pids.max, or free memory)");
  }

  [[nodiscard]] std::string description() const override {
    return "model=threads driver=blocking";
  }

 private:
  static void* thread_main(void* argument) noexcept {
    auto& t = *static_cast<task*>(argument);
    auto& self = static_cast<threads_scheduler&>(t.owner);
    self.run_linked(t);
    self.end_thread();
    return nullptr;
  }

  // Each thread that ends joins the one that ended before it, and run() the last: all are
  // joined and at most one is kept as a zombie. Nothing of the scheduler is used after
  // the lock is left, because run() may then return.
  void end_thread() noexcept {
    std::optional<pthread_t> before;
    {
      std::lock_guard lock(ends_mutex_);
      before = std::exchange(last_ended_, ::pthread_self());
      if (--threads_ == 0) all_ended_.notify_one();
    }
    if (before) ::pthread_join(*before, nullptr);
  }

  void note_thread(int change) noexcept {
    std::lock_guard lock(ends_mutex_);
    threads_ += change;
  }

  pthread_attr_t attributes_;
  std::mutex ends_mutex_;              // guards what follows
  std::condition_variable all_ended_;  // threads_ == 0
  int threads_ = 0;                    // spawned and not yet through end_thread()
  std::optional<pthread_t> last_ended_;
};

}  // namespace

std::unique_ptr<scheduler> make_scheduler(std::unique_ptr<driver> io) {
  return std::make_unique<threads_scheduler>(std::move(io));
}

}  // namespace duel::threads
