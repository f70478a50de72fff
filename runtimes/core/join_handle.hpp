// join_handle.hpp - spawn() and the right to a task's result.
//
// The join-waker cell (task::join_cell) and who may touch it, by the bits of the state
// word:
//   join_waker = 0, not complete   the handle alone
//   join_waker = 1, not complete   nobody writes; the handle may read
//   join_waker = 1, complete       the completing thread: it wakes, then clears the bit
//   join_waker = 0, complete       the handle if join_interest, else nobody
// The result belongs to the running task until complete, then to the handle if
// join_interest, else to the completing thread. (Tokio's rules.)
#pragma once

#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "runtimes/core/suspend.hpp"

namespace duel {

namespace detail {

struct unit {};

// The result of a task: a value, or the exception its body threw.
template <class T>
class result_task : public task {
 public:
  using stored = std::conditional_t<std::is_void_v<T>, unit, T>;
  using task::task;

  void drop_result() noexcept override {
    value_.reset();
    error_ = nullptr;
  }
  stored take() {
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
    return std::move(*value_);
  }

 protected:
  std::optional<stored> value_;
  std::exception_ptr error_;
};

template <class F>
class task_of final : public result_task<std::invoke_result_t<F&>> {
  using base = result_task<std::invoke_result_t<F&>>;

 public:
  task_of(scheduler& on, F body) : base(on, on.is_exclusive()), body_(std::move(body)) {}

  void run_body() noexcept override {
    try {
      if constexpr (std::is_void_v<std::invoke_result_t<F&>>) {
        (*body_)();
        this->value_.emplace();
      } else {
        this->value_.emplace((*body_)());
      }
    } catch (...) {
      this->error_ = std::current_exception();
    }
    body_.reset();
  }
  void fail(std::exception_ptr why) noexcept override {
    this->error_ = std::move(why);
    body_.reset();
  }

 private:
  std::optional<F> body_;  // destroyed as soon as it has run, on the task's own stack
};

}  // namespace detail

// What join() and detach() do, whatever the result's type.
void await_completion(task& t);
void leave_result(task& t) noexcept;
// For a task nobody will join: as if its handle had been dropped before it was spawned.
void detach_before_start(task& t) noexcept;

// For schedulers: run()'s first task, which nobody joins. `failure` gets what `main`
// throws and must outlive the task.
[[nodiscard]] task& make_main_task(scheduler& owner, std::move_only_function<void()> main,
                                   std::exception_ptr& failure);

// One owner of the result. Dropping it detaches the task; the task runs on. Move-only;
// use it on the scheduler that runs the task (sharded: on the same shard).
template <class T>
class [[nodiscard]] join_handle {
 public:
  explicit join_handle(detail::result_task<T>& t) noexcept : task_(&t) {}
  join_handle(join_handle&& other) noexcept
      : task_(std::exchange(other.task_, nullptr)) {}
  join_handle& operator=(join_handle&& other) noexcept {
    std::swap(task_, other.task_);
    return *this;
  }
  ~join_handle() { detach(); }

  // Waits for the task; returns its value or rethrows its exception. Not ended by a
  // cancellation of the joining task: the joined one always finishes. Consumes the
  // handle.
  T join() {
    await_completion(*task_);
    join_handle consumed = std::move(*this);  // leaves also when take() throws
    if constexpr (std::is_void_v<T>) {
      consumed.task_->take();
    } else {
      return consumed.task_->take();
    }
  }

  // Asks the task to finish early: its current and later waits return operation_canceled.
  void cancel() noexcept { task_->owner.cancel(*task_); }
  [[nodiscard]] bool is_done() const noexcept { return task_->state.is_complete(); }
  void detach() noexcept {
    if (task_) leave_result(*std::exchange(task_, nullptr));
  }

 private:
  detail::result_task<T>* task_;
};

// Makes body() a task of the current scheduler. Throws std::system_error when the model
// cannot carry another task (threads: the OS refuses a thread).
template <class Body>
auto spawn(Body&& body) {
  using callable = std::decay_t<Body>;
  scheduler& owner = current_task()->owner;
  auto* t = new detail::task_of<callable>(owner, std::forward<Body>(body));
  try {
    owner.spawn(*t);
  } catch (...) {
    delete t;  // nobody has seen it
    throw;
  }
  return join_handle<std::invoke_result_t<callable&>>(*t);
}

}  // namespace duel
