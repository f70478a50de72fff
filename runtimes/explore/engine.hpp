// engine.hpp - one execution: threads as fibers on one OS thread, which step comes next,
// what memory holds, and what must not happen.
//
// The instrumented types of sync.hpp call the functions below. Each one that other
// threads could notice is a step: before it the search decides who goes next. Called from
// outside an execution they act at once and check nothing.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <source_location>
#include <string>
#include <string_view>

#include "runtimes/explore/location.hpp"

namespace duel::explore {

// interleaving: sequential consistency, every load returns the newest store. tso: stores
// weaker than seq_cst wait in a buffer, first in first out, as on x86. weak: a load may
// return an older store unless happens-before forbids it (C++ without load buffering).
// Happens-before, and with it data races, follow the memory orders in all three.
enum class memory_model { interleaving, tso, weak };

enum class failure {
  none,
  requirement,  // a require() of the model, or an assertion of the code
  race,         // two unordered accesses of plain data
  memory,       // use after free, double free, bad pointer
  leak,         // something is left when all threads have ended
  deadlock,     // nobody can go on
  livelock,     // no end within the limit of steps
  exception,    // one left a thread
  unreached,    // what the model declares possible has not happened
};

using site = std::source_location;

// --- what models use -------------------------------------------------------------------

// The execution fails if `holds` is false.
void require(bool holds, const char* what, site at = site::current());
// Marks an outcome that some execution must have: see model::outcomes.
void reached(const char* outcome);
// A number below `count`, every one of which is tried.
[[nodiscard]] unsigned any_of(unsigned count);
// A line in the trace.
void note(std::string_view text);
// The index of the calling thread in this execution; 0: the model's body.
[[nodiscard]] unsigned this_thread() noexcept;

// --- what the instrumented types use ---------------------------------------------------

// Ends the execution; does not return if called by one of its threads.
void fail(failure kind, std::string_view what, site at = site::current()) noexcept;

std::uint64_t load(location& l, std::memory_order order, site at);
void store(location& l, std::uint64_t value, std::memory_order order, site at);
// Replaces the value by change(value) and returns what it was.
using change_fn = std::uint64_t (*)(std::uint64_t before, const void* context);
std::uint64_t modify(location& l, change_fn change, const void* context,
                     std::memory_order order, site at);
// False: the value was not `expected`, which is then the value.
bool compare_exchange(location& l, std::uint64_t& expected, std::uint64_t to,
                      std::memory_order success, std::memory_order failed, bool weak,
                      site at);
void fence(site at);  // sequentially consistent
// The calling thread destroys `l`: what it still has in its buffer for it nobody will
// see.
void forget(const location& l) noexcept;

void plain_read(const plain_location& l);
void plain_write(plain_location& l);

void lock(location& l);
bool try_lock(location& l);
void unlock(location& l);

using time = std::chrono::steady_clock::time_point;
// True: woken or never asleep; false: the deadline has come.
bool futex_wait(location& l, std::uint32_t expected, time deadline, site at);
void futex_wake(location& l, unsigned most, site at);

[[nodiscard]] unsigned spawn(std::move_only_function<void()> body);
void join(unsigned thread);
void yield();
[[nodiscard]] time now() noexcept;

}  // namespace duel::explore
