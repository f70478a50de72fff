#include "runtimes/drivers/epoll/epoll_driver.hpp"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/thread.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>

#include "runtimes/core/block_pool.hpp"
#include "runtimes/core/counters.hpp"
#include "runtimes/core/suspend.hpp"
#include "runtimes/drivers/epoll/readiness.hpp"
#include "runtimes/drivers/epoll/system_calls.hpp"

namespace duel::epoll {

namespace {

// Tasks that one poll wakes: few enough that they find their stacks, fetched at the wake,
// still in the cache, and that they fit in a run queue (tokio#8410).
constexpr unsigned woken_per_poll = 64;

// Worth a system call.
constexpr std::uint32_t may_read = readiness::readable | readiness::read_closed;
constexpr std::uint32_t may_write = readiness::writable;

class epoll_driver;

// What a request touches comes first: one line, and two of `watch`.
struct alignas(64) epoll_socket final : socket {
  epoll_socket(int descriptor, epoll_driver& watched_by, timer_service& service) noexcept
      : socket(descriptor),
        read_deadline(service, &wake_slot, &reader),
        home(watched_by),
        write_deadline(service, &wake_slot, &writer) {}
  static void wake_slot(void* slot) noexcept { static_cast<waiter_slot*>(slot)->wake(); }

  readiness ready;
  waiter_slot reader, writer;
  deadline_timer read_deadline;
  ::event watch;
  epoll_driver& home;  // whose poll reports it; performed on and closed by any
  deadline_timer write_deadline;
};

void on_event(evutil_socket_t, short what, void* context);

class epoll_driver final : public polled_driver {
 public:
  epoll_driver(event_base* base, int doorbell, timer_service& deadlines)
      : base_(base), doorbell_(doorbell), deadlines_(deadlines) {
    event_assign(
        &bell_watch_, base_, doorbell_, EV_READ | EV_PERSIST | EV_ET,
        [](evutil_socket_t, short, void*) {}, nullptr);
    event_assign(
        &alarm_, base_, -1, 0, [](evutil_socket_t, short, void*) {}, nullptr);
  }
  [[nodiscard]] int open() noexcept {
    return event_add(&bell_watch_, nullptr) < 0 ? errno : 0;
  }
  ~epoll_driver() override {
    event_del(&bell_watch_);
    event_del(&alarm_);
    event_base_free(base_);
    ::close(doorbell_);
  }

  result<std::unique_ptr<socket>> adopt(int fd) override {
    set_nonblocking(fd);
    auto s = std::make_unique<epoll_socket>(fd, *this, deadlines_);
    event_assign(&s->watch, base_, fd,
                 EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST, &on_event, s.get());
    if (event_add(&s->watch, nullptr) < 0) {
      int error = errno;
      ::close(fd);
      return failure(error);
    }
    watched_.fetch_add(1, std::memory_order_relaxed);  // relaxed: a hint, see has_work()
    return s;
  }

  void close(std::unique_ptr<socket> s) noexcept override {
    auto& own = static_cast<epoll_socket&>(*s);
    // Waits for a callback under way: afterwards nothing refers to the record.
    event_del(&own.watch);
    own.home.watched_.fetch_sub(1, std::memory_order_relaxed);  // relaxed: as in adopt()
    ::close(own.fd);
  }

  void perform(operation& op) override;

  unsigned poll(time_point deadline) noexcept override {
    if (deadline != at_once) set_alarm(deadline);
    events_ = woken_ = 0;
    event_base_loop(base_, EVLOOP_ONCE | (deadline == at_once ? EVLOOP_NONBLOCK : 0));
    return events_;
  }
  // The doorbell is edge-triggered and never read: each write is a new edge.
  void interrupt() noexcept override { ::eventfd_write(doorbell_, 1); }
  // relaxed: a socket that is just being adopted is tried before anybody waits for it.
  bool has_work() const noexcept override {
    return watched_.load(std::memory_order_relaxed) > 0;  // relaxed: see above
  }

  buffer_lease lease_buffer() override { return {*this, take_block(), 0}; }
  void give_back(std::span<std::byte> bytes, unsigned) noexcept override {
    give_back_block(bytes.data());
  }

  // An event has been handed out, to so many waiters. What is left when the poll ends
  // stays active in the base, and the next poll does not wait. libevent's own limit
  // (event_config_set_max_dispatch_interval) only pauses: it asks for more events, and
  // where nothing but its own notification was left it waits for them, beside tasks that
  // have just been woken.
  void note_event(unsigned waiters) noexcept {
    ++events_;
    woken_ += waiters;
    if (woken_ >= woken_per_poll) event_base_loopbreak(base_);
  }

 private:
  void attempt(operation& op, epoll_socket& s, std::uint32_t seen);
  void set_alarm(time_point deadline) noexcept;

  event_base* const base_;
  const int doorbell_;
  timer_service& deadlines_;
  ::event bell_watch_;
  ::event alarm_;                 // ends a poll at its deadline; the poller only
  time_point alarm_set_ = never;  // what alarm_ is set to; the poller only
  unsigned events_ = 0;           // handed out by this poll; the poller only
  unsigned woken_ = 0;            // tasks, by these; the poller only
  std::atomic<std::size_t> watched_{0};
};

// libevent says: the poller's thread, no lock of ours held.
void on_event(evutil_socket_t, short what, void* context) {
  auto& s = *static_cast<epoll_socket*>(context);
  std::uint32_t bits = (what & EV_READ ? readiness::readable : 0) |
                       (what & EV_WRITE ? readiness::writable : 0) |
                       (what & EV_CLOSED ? readiness::read_closed : 0);
  s.ready.set(bits);
  unsigned waiters = 0;
  if (bits & may_read) waiters += s.reader.wake();
  if (bits & may_write) waiters += s.writer.wake();
  s.home.note_event(waiters);
}

void epoll_driver::perform(operation& op) {
  task& self = *current_task();
  if (self.budget == 0) {
    self.owner.local_counters().add(counter::forced_yields);
    yield(self);
  }
  if (self.budget > 0) --self.budget;
  auto& s = static_cast<epoll_socket&>(op.target);
  const bool writes = op.kind == io_kind::send;
  const std::uint32_t ready_when = writes ? may_write : may_read;
  for (bool waited = false;; waited = true) {
    auto seen = s.ready.get();
    while (seen & ready_when) {
      attempt(op, s, seen);
      if (op.result != -EAGAIN) return;
      self.owner.local_counters().add(counter::again);
      seen = s.ready.get();
    }
    if (is_cancelled(self)) return void(op.result = -ECANCELED);
    auto& deadline = writes ? s.write_deadline : s.read_deadline;
    auto& waiter = writes ? s.writer : s.reader;
    if (op.deadline != never) {
      if (waited && clock::now() >= op.deadline) return void(op.result = -ETIMEDOUT);
      deadline.set(op.deadline);
    }
    constexpr suspend_reason reasons[] = {suspend_reason::accept, suspend_reason::receive,
                                          suspend_reason::send};
    suspend(reasons[static_cast<int>(op.kind)], [&](waker w) {
      waiter.wait(std::move(w), [&] {
        return (s.ready.get() & ready_when) != 0 ||
               (op.deadline != never && deadline.has_expired());
      });
    });
    waiter.leave();
  }
}

// One system call, and what its result says about readiness.
void epoll_driver::attempt(operation& op, epoll_socket& s, std::uint32_t seen) {
  switch (op.kind) {
    case io_kind::accept: {
      op.result = call_accept(s.fd);
      if (op.result == -EAGAIN) s.ready.clear(seen, readiness::readable);
      break;
    }
    case io_kind::receive: {
      op.lease = lease_buffer();
      op.result = call_receive(s.fd, op.lease.bytes());
      // A short read drained the socket; end of stream and errors stay to be read again.
      if (op.result == -EAGAIN ||
          (op.result > 0 && op.result < std::int64_t{block_size})) {
        s.ready.clear(seen, readiness::readable);
      }
      if (op.result > 0) {
        op.lease.trim(static_cast<std::size_t>(op.result));
      } else {
        op.lease.reset();
      }
      break;
    }
    case io_kind::send: {
      op.result = call_send(s.fd, op.data);
      if (op.result == -EAGAIN ||
          (op.result > 0 && op.result < static_cast<std::int64_t>(op.data.size()))) {
        s.ready.clear(seen, readiness::writable);
      }
      break;
    }
  }
}

void epoll_driver::set_alarm(time_point deadline) noexcept {
  // An alarm that has rung is no longer pending; one that is still right costs nothing.
  if (deadline == alarm_set_ && (deadline == never || evtimer_pending(&alarm_, nullptr)))
    return;
  alarm_set_ = deadline;
  if (deadline == never) return void(event_del(&alarm_));
  auto left = std::max(duration::zero(), deadline - clock::now());
  auto us = std::chrono::ceil<std::chrono::microseconds>(left).count();
  timeval wait{.tv_sec = us / 1'000'000, .tv_usec = us % 1'000'000};
  event_add(&alarm_, &wait);
}

}  // namespace

result<std::unique_ptr<polled_driver>> make_driver(timer_service& deadlines,
                                                   sharing users) {
  static const int threads_enabled = [] {
    event_set_log_callback([](int, const char*) {});  // results say what it would warn of
    return evthread_use_pthreads();
  }();
  if (threads_enabled < 0) return failure(std::errc::not_supported);
  std::unique_ptr<event_config, decltype(&event_config_free)> config(event_config_new(),
                                                                     &event_config_free);
  // Edges and early-close, which of libevent's methods only epoll gives.
  event_config_require_features(config.get(),
                                EV_FEATURE_ET | EV_FEATURE_O1 | EV_FEATURE_EARLY_CLOSE);
  if (users == sharing::one_thread) {
    event_config_set_flag(config.get(), EVENT_BASE_FLAG_NOLOCK);
  }
  int doorbell = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (doorbell < 0) return failure(errno);
  event_base* base = event_base_new_with_config(config.get());
  if (!base) {
    int error = errno ? errno : ENOSYS;
    ::close(doorbell);
    return failure(error);
  }
  auto made = std::make_unique<epoll_driver>(base, doorbell, deadlines);
  if (int error = made->open()) return failure(error);
  return made;
}

}  // namespace duel::epoll
