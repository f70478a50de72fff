#include "runtimes/explore/execution.hpp"

#include <cxxabi.h>
#include <sys/mman.h>

#include <bit>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>

namespace duel::explore {

execution world;

namespace {

sigjmp_buf crash_exit;  // where a signal handler lets go of a thread that has crashed

constexpr std::size_t thread_stack_size = 512 * 1024, guard_size = 4096;

void on_crash(int signal) {
  if (!world.is_inside()) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
    return;
  }
  siglongjmp(crash_exit, signal);
}

// Crashes of the code under exploration end its execution, not the explorer.
void catch_crashes() {
  static std::array<std::byte, 64 * 1024> stack_of_handler;
  stack_t alternative{};
  alternative.ss_sp = stack_of_handler.data();
  alternative.ss_size = stack_of_handler.size();
  ::sigaltstack(&alternative, nullptr);
  struct sigaction action {};
  action.sa_handler = on_crash;
  action.sa_flags = SA_ONSTACK | SA_NODEFER;
  for (int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE}) {
    ::sigaction(signal, &action, nullptr);
  }
  std::set_terminate([] {
    if (world.is_inside()) fail(failure::exception, "std::terminate was called");
    std::abort();
  });
}

const char* meaning(int signal) noexcept {
  return signal == SIGABRT ? "aborted" : "a bad pointer was used";
}

}  // namespace

execution::execution() {
  catch_crashes();
  std::uintptr_t address = 0x20'0000'0000;  // the same in every process, as the heap's
  for (auto& s : stacks_) {
    auto* memory = static_cast<std::byte*>(::mmap(
        reinterpret_cast<void*>(address), thread_stack_size, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0));
    if (memory == MAP_FAILED || ::mprotect(memory, guard_size, PROT_NONE) != 0) {
      std::abort();
    }
    s = stack(memory + guard_size, thread_stack_size - guard_size);
    address += thread_stack_size;
  }
}

// --- a run ---------------------------------------------------------------------------

failure execution::run(const std::function<void()>& body, search& by,
                       const settings& how) {
  how_ = how;
  by_ = &by;
  ++number_;
  size_ = 0;
  steps_ = 0;
  passed_ = spinners_ = 0;
  seen_.fill(static_cast<agent_set>(~0u));
  decided_ = -1;
  now_ = time(std::chrono::hours(1));
  failed_ = failure::none;
  message_.clear();
  orders_.fill({});
  fences = {};
  heap.reset();
  by.begin_execution();
  next_ = last_ = add_thread([&body] { body(); });
  int crashed = sigsetjmp(crash_exit, 1);
  if (crashed != 0) {
    heap.tracks = false;
    current_ = nullptr;
    std::memset(abi::__cxa_get_globals(), 0, sizeof(void*) + sizeof(unsigned));
    if (failed_ == failure::none) end(failure::memory, meaning(crashed), {});
  }
  while (failed_ == failure::none && next_ != nobody) {
    if (is_buffer(next_)) {
      flush(next_);
      next_ = decide();
    } else {
      switch_to(threads_[next_]);
      if (failed_ == failure::none && threads_[next_].is == thread::state::ended) {
        next_ = decide();
      }
    }
  }
  if (failed_ == failure::none && heap.live_blocks() > 0) {
    end(failure::leak,
        "left when all threads have ended: " + std::to_string(heap.live_blocks()) +
            (heap.live_blocks() == 1 ? " allocation" : " allocations"),
        {});
  }
  if (trace_) record_threads();
  by.note_length(steps_);
  return failed_;
}

unsigned execution::add_thread(std::move_only_function<void()> body) {
  if (size_ == max_threads) {
    fail(failure::requirement, "the model has too many threads");
    return 0;
  }
  agent index = size_++;
  thread& t = threads_[index];
  t.is = thread::state::ready;
  t.needs = need::nothing;
  t.object = nullptr;
  t.next = step_kind::start;
  t.deadline = time::max();
  t.first = t.buffered = 0;
  // What an abandoned execution left there went with its heap.
  std::construct_at(&t.body, std::move(body));
  t.locals = {};
  t.happens = {};
  if (is_inside()) {
    t.happens = me().happens;
    orders_[index] = orders_[self()];
  }
  t.context.emplace();
  t.context->prepare(stacks_[index], &enter, &t);
  return index;
}

void execution::enter(void* argument) noexcept {
  auto& t = *static_cast<thread*>(argument);
  try {
    t.body();
  } catch (const std::exception& e) {
    fail(failure::exception, e.what());
  } catch (...) {
    fail(failure::exception, "an exception that is no std::exception left a thread");
  }
  t.body = nullptr;
  t.happens.tick(world.self());  // who joins it knows of all that it did
  if (world.records()) world.record({.kind = step_kind::end});
  t.is = thread::state::ended;
}

void execution::switch_to(thread& t) {
  current_ = &t;
  swap_locals(t);
  heap.tracks = true;
  t.context->resume();
  heap.tracks = false;
  swap_locals(t);
  current_ = nullptr;
}

void execution::swap_locals(thread& t) noexcept {
  for (std::size_t i = 0; i < locals_.size(); ++i) std::swap(*locals_[i], t.locals[i]);
}

// --- whose turn it is ----------------------------------------------------------------

bool execution::can_go(const thread& t) const noexcept {
  if (t.is != thread::state::ready) return false;
  switch (t.needs) {
    case need::nothing:
      return true;
    case need::empty_buffer:
      return t.buffered == 0;
    case need::free_lock:
      return t.object->stores[t.object->newest_number % location::history].value == 0 &&
             t.buffered == 0;
    case need::end_of_thread:
      return threads_[t.joins].is == thread::state::ended &&
             threads_[t.joins].buffered == 0;
  }
  return false;
}

agent execution::decide() {
  agent_set enabled = 0, asleep = 0;
  for (agent i = 0; i < size_; ++i) {
    const thread& t = threads_[i];
    if (can_go(t)) enabled |= one(i);
    if (t.buffered > 0) enabled |= one(buffer_of(i));
    if (t.is == thread::state::asleep && t.deadline != time::max()) asleep |= one(i);
  }
  agent_set eager = enabled & ~passed_;
  for (agent_set rest = spinners_ & eager; rest; rest &= rest - 1) {
    auto t = static_cast<agent>(std::countr_zero(rest));
    if (behind_[t] & enabled) eager &= static_cast<agent_set>(~one(t));
  }
  agent_set costly = 0;
  if (eager != 0) enabled = eager;
  if (eager == 0 && asleep != 0) {
    // Time passes when nobody can do anything, or all that do let others go first.
    enabled = 0;
    time soonest = time::max();
    for (agent i = 0; i < size_; ++i) {
      if (asleep & one(i)) soonest = std::min(soonest, threads_[i].deadline);
    }
    for (agent i = 0; i < size_; ++i) {
      if ((asleep & one(i)) && threads_[i].deadline == soonest) enabled |= one(i);
    }
  } else {  // or before its time, at a cost
    enabled |= asleep;
    costly = asleep;
  }
  if (enabled == 0) {
    for (agent i = 0; i < size_; ++i) {
      if (threads_[i].is != thread::state::ended) {
        end(failure::deadlock, who_waits_for_what(), {});
        break;
      }
    }
    return nobody;
  }
  // A thread whose stores must reach memory first goes on by their doing so.
  agent_set usual_ones = enabled & ~costly;
  agent going = last_;
  if (threads_[last_].needs != need::nothing && (usual_ones & one(buffer_of(last_)))) {
    going = buffer_of(last_);
  }
  bool goes_on = usual_ones & one(going);
  agent usual = goes_on ? going : static_cast<agent>(std::countr_zero(usual_ones));
  if (goes_on) {
    constexpr agent_set all_threads = one(max_threads) - 1;
    costly |= static_cast<agent_set>(usual_ones & all_threads & ~one(last_));
  }
  agent chosen = usual;
  decided_ = -1;
  if (std::popcount(enabled) > 1) {
    chosen = by_->pick(enabled, usual, costly, goes_on);
    decided_ = by_->last();
  } else if (!goes_on) {
    by_->note_forced_switch();
  }
  passed_ &= one(chosen);
  for (agent_set rest = spinners_; rest; rest &= rest - 1) {
    auto t = static_cast<agent>(std::countr_zero(rest));
    behind_[t] &= static_cast<agent_set>(~one(chosen));
    seen_[t] |= one(chosen);
  }
  if (is_buffer(chosen)) return chosen;
  thread& t = threads_[chosen];
  if (t.is == thread::state::asleep) {
    access(time_location, chosen, use::write);
    t.is = thread::state::ready;
    t.timed_out = true;
    now_ = std::max(now_, t.deadline);
  }
  preempts_ = goes_on && chosen != last_;
  last_ = chosen;
  return chosen;
}

void execution::pass_over_me() noexcept {
  passed_ |= one(self());
  spinners_ |= one(self());
  behind_[self()] = static_cast<agent_set>(~seen_[self()] & ~one(self()));
  seen_[self()] = 0;
}

void execution::begin_step(step_kind next, const location* object, site where,
                           need needs) {
  thread& t = me();
  t.next = next;
  t.object = object;
  t.needs = needs;
  t.at = where;
  if (trace_) record_pending();
  if (++steps_ > how_.most_steps) {
    fail(failure::livelock, "no end after " + std::to_string(how_.most_steps) + " steps",
         where);
  }
  await_turn();
  if (is_tso() && needs != need::nothing)
    orders_[self()].join(orders_[buffer_of(self())]);
  t.needs = need::nothing;
  t.happens.tick(self());
}

void execution::await_turn() {
  untracked_scope own;
  for (;;) {
    agent chosen = decide();
    if (chosen == self()) return;
    if (chosen != nobody && is_buffer(chosen)) {
      flush(chosen);
      if (failed_ == failure::none) continue;
    }
    next_ = chosen;
    me().context->suspend();
    heap.tracks = false;
    return;  // whoever resumes a thread has decided that it goes
  }
}

// --- how it ends ---------------------------------------------------------------------

void execution::end(failure kind, std::string_view what, site at) noexcept {
  if (failed_ != failure::none) return;
  untracked_scope own;
  failed_ = kind;
  message_ = what;
  where_ = at;
  if (trace_) record_failure();
}

void fail(failure kind, std::string_view what, site at) noexcept {
  if (!world.is_inside()) {
    std::fprintf(stderr, "explore: outside of an execution: %s\n",
                 std::string(what).c_str());
    std::abort();
  }
  world.end(kind, what, at);
  heap.tracks = false;
  world.me().context->suspend();  // for good
}

bool execution::is_mutated(const site& at) const noexcept {
  return at.line() == mutation_.line &&
         std::string_view(at.file_name()).ends_with(mutation_.file);
}

}  // namespace duel::explore
