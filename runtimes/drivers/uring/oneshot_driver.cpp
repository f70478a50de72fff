// oneshot_driver.cpp - a request lives on its task's stack until its completion is
// reaped.
//
//   task, on any thread                      the ring's thread, in poll()
//   (O1) submit; suspend; look at `done`     result; `done` = true (release); wake
//   (O2) ask: into the list; interrupt       cancel what is not done; `is_handled`; wake
//
// The wake comes after `done`, and a wake of a running task is remembered, so none is
// lost. A task that has asked for a cancellation waits for (O2) also after (O1): until
// then the ring's thread may look at the request, and a cancellation that is submitted
// later would hit whatever lies at the same address.
#include "runtimes/drivers/uring/oneshot_driver.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>

#include "runtimes/core/block_pool.hpp"
#include "runtimes/core/suspend.hpp"
#include "runtimes/core/timer_wheel.hpp"
#include "runtimes/drivers/uring/adopt.hpp"
#include "runtimes/drivers/uring/buffer_pool.hpp"
#include "runtimes/drivers/uring/ring.hpp"

namespace duel::uring {

namespace {

// user_data of what is no operation.
constexpr std::uint64_t nobody = 0, doorbell = 1;

class oneshot_driver;

struct request : timer {  // timer: the operation's deadline, in the ring's own wheel
  request(operation& what, oneshot_driver& on) noexcept
      : timer(&on_deadline), op(what), ring_of(on) {}
  static time_point on_deadline(timer& t, time_point) noexcept;

  operation& op;
  oneshot_driver& ring_of;
  waker who;                      // taken by the ring's thread
  std::atomic<bool> done{false};  // op has its result

  // The ring's thread only: why the kernel ends it early.
  bool is_cancelling = false, has_expired = false;

  // Asking for that from another thread.
  request* next_asked = nullptr;  // guarded by the driver's mutex
  waker asker;
  std::atomic<bool> is_handled{false};
};

class oneshot_driver final : public polled_driver {
 public:
  explicit oneshot_driver(counters& book) noexcept : book_(book) {}
  [[nodiscard]] int open(task_work work) noexcept {
    if (int error = ring_.open(work)) return error;
    if (int error = buffers_.open(ring_.raw())) return error;
    ring_.watch_doorbell(doorbell);
    return 0;
  }

  // --- driver --------------------------------------------------------------------------
  result<std::unique_ptr<socket>> adopt(int fd) override;
  void perform(operation& op) override;
  void close(std::unique_ptr<socket> s) noexcept override { ::close(s->fd); }
  buffer_lease lease_buffer() override { return {*this, take_block(), 0}; }
  void give_back(std::span<std::byte> bytes, unsigned) noexcept override {
    give_back_block(bytes.data());
  }

  // --- polled_driver -------------------------------------------------------------------
  unsigned poll(time_point deadline) noexcept override;
  void interrupt() noexcept override { ring_.interrupt(); }
  [[nodiscard]] bool has_work() const noexcept override {
    return ring_.has_work() ||
           asked_.load(std::memory_order_relaxed) ||  // relaxed: a hint
           (!wheel_.empty() && wheel_.next_event() <= clock::now());
  }

  void cancel(request& r) noexcept;

 private:
  void submit(request& r) noexcept;
  bool complete(const ::io_uring_cqe& cqe) noexcept;
  void take_bytes(request& r, const ::io_uring_cqe& cqe) noexcept;
  void ask_to_cancel(request& r, task& asker) noexcept;
  bool handle_asked() noexcept;

  counters& book_;
  ring ring_;
  buffer_pool buffers_;              // after the ring: unregistered first
  timer_wheel wheel_{clock::now()};  // of the requests under way
  std::mutex mutex_;                 // guards the list of those whose end is asked for
  std::atomic<request*> asked_{nullptr};
};

result<std::unique_ptr<socket>> oneshot_driver::adopt(int fd) {
  return adopt_blocking<socket>(fd);
}

// --- operations: on the task's stack -------------------------------------------------

void oneshot_driver::perform(operation& op) {
  task& self = *current_task();
  if (is_cancelled(self)) return void(op.result = -ECANCELED);
  request r(op, *this);
  r.who = waker::of(self);
  submit(r);
  if (op.deadline != never) wheel_.insert(r, op.deadline);
  constexpr suspend_reason reasons[] = {suspend_reason::accept, suspend_reason::receive,
                                        suspend_reason::send};
  bool has_asked = false;
  for (;;) {  // from here on perhaps on another thread: nothing of the ring's but ask
    suspend(reasons[static_cast<int>(op.kind)]);
    if (r.done.load(std::memory_order_acquire)) break;  // (O1)
    if (has_asked || !is_cancelled(self)) continue;
    has_asked = true;
    ask_to_cancel(r, self);
  }
  while (has_asked && !r.is_handled.load(std::memory_order_acquire)) {  // (O2)
    suspend(suspend_reason::event);
  }
}

void oneshot_driver::ask_to_cancel(request& r, task& asker) noexcept {
  r.asker = waker::of(asker);
  {
    std::lock_guard lock(mutex_);
    r.next_asked = asked_.load(std::memory_order_relaxed);  // relaxed: under mutex_
    asked_.store(&r, std::memory_order_relaxed);            // relaxed: under mutex_
  }
  ring_.interrupt();
}

void oneshot_driver::submit(request& r) noexcept {
  auto& sqe = ring_.next_request();
  switch (r.op.kind) {
    case io_kind::accept:
      ::io_uring_prep_accept(&sqe, r.op.target.fd, nullptr, nullptr, SOCK_CLOEXEC);
      break;
    case io_kind::receive:
      (void)buffers_.replenish();
      ::io_uring_prep_recv(&sqe, r.op.target.fd, nullptr, 0, 0);
      // The peer has just been answered: trying before it can have read that is in vain.
      sqe.ioprio |= IORING_RECVSEND_POLL_FIRST;
      sqe.flags |= IOSQE_BUFFER_SELECT;
      sqe.buf_group = buffer_pool::group;
      break;
    case io_kind::send:
      // MSG_WAITALL: the kernel goes on by itself after a short send.
      ::io_uring_prep_send(&sqe, r.op.target.fd, r.op.data.data(), r.op.data.size(),
                           MSG_NOSIGNAL | MSG_WAITALL);
      break;
  }
  sqe.user_data = reinterpret_cast<std::uintptr_t>(&r);
}

// --- the ring's thread -----------------------------------------------------------------

unsigned oneshot_driver::poll(time_point deadline) noexcept {
  // Who is woken here waits in the poller's queue: that is no time to sleep.
  bool has_woken = handle_asked();
  ring_.enter(has_woken ? at_once : std::min(deadline, wheel_.next_event()));
  unsigned found = 0;
  ring_.reap([&](const ::io_uring_cqe& cqe) { found += complete(cqe); });
  if (!wheel_.empty()) wheel_.advance(clock::now());
  auto [calls, requests] = ring_.take_tally();
  book_.add(counter::driver_calls, calls - 1);  // whoever polls has counted one
  book_.add(counter::submitted, requests);
  return found;
}

// True: of an operation.
bool oneshot_driver::complete(const ::io_uring_cqe& cqe) noexcept {
  if (cqe.user_data == nobody) return false;
  if (cqe.user_data == doorbell) {
    if (!(cqe.flags & IORING_CQE_F_MORE)) ring_.watch_doorbell(doorbell);
    return false;
  }
  auto& r = *reinterpret_cast<request*>(cqe.user_data);
  r.op.result = cqe.res;
  if (cqe.flags & IORING_CQE_F_BUFFER) take_bytes(r, cqe);
  if (r.has_expired && r.op.result == -ECANCELED) r.op.result = -ETIMEDOUT;
  // Of a receive ENOBUFS is about the ring's buffers, of others about the kernel's
  // memory.
  bool lacks_buffer = r.op.kind == io_kind::receive && r.op.result == -ENOBUFS;
  bool failed_to_try = lacks_buffer || r.op.result == -EINTR;
  if (failed_to_try && !r.is_cancelling) {
    submit(r);
    return true;
  }
  if (failed_to_try) r.op.result = r.has_expired ? -ETIMEDOUT : -ECANCELED;
  wheel_.remove(r);
  waker who = std::move(r.who);
  r.done.store(true, std::memory_order_release);  // (O1): r may be gone from here on
  std::move(who).wake();
  return true;
}

// Out of the ring's buffer, which goes back at once: a lease may end on another thread.
void oneshot_driver::take_bytes(request& r, const ::io_uring_cqe& cqe) noexcept {
  unsigned id = cqe.flags >> IORING_CQE_BUFFER_SHIFT;
  buffers_.taken();
  if (cqe.res > 0) {
    auto size = static_cast<std::size_t>(cqe.res);
    try {
      r.op.lease = lease_buffer();
      std::memcpy(r.op.lease.bytes().data(), buffers_.memory(id).data(), size);
      r.op.lease.trim(size);
    } catch (const std::bad_alloc&) {
      r.op.result = -ENOMEM;
    }
  }
  buffers_.give_back(id);
}

time_point request::on_deadline(timer& t, time_point) noexcept {
  auto& r = static_cast<request&>(t);
  r.has_expired = true;
  r.ring_of.cancel(r);
  return never;
}

void oneshot_driver::cancel(request& r) noexcept {
  r.is_cancelling = true;
  auto& sqe = ring_.next_request();
  ::io_uring_prep_cancel64(&sqe, reinterpret_cast<std::uintptr_t>(&r), 0);
  sqe.user_data = nobody;
}

// Before the ring is entered: what is cancelled here is submitted before any further
// completion is seen, so the address still means this request. True: somebody was woken.
bool oneshot_driver::handle_asked() noexcept {
  if (!asked_.load(std::memory_order_relaxed)) {  // relaxed: interrupt() follows
    return false;
  }
  request* r;
  {
    std::lock_guard lock(mutex_);
    r = asked_.exchange(nullptr, std::memory_order_relaxed);  // relaxed: under mutex_
  }
  while (r) {
    request* next = r->next_asked;
    // relaxed: this thread's own store
    if (!r->done.load(std::memory_order_relaxed)) cancel(*r);
    waker asker = std::move(r->asker);
    r->is_handled.store(true, std::memory_order_release);  // (O2): r may be gone
    std::move(asker).wake();
    r = next;
  }
  return true;
}

}  // namespace

result<std::unique_ptr<polled_driver>> make_oneshot_driver(counters& book,
                                                           const options& chosen) {
  auto made = std::make_unique<oneshot_driver>(book);
  if (int error = made->open(chosen.work)) return failure(error);
  return made;
}

}  // namespace duel::uring
