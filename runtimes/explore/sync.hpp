// sync.hpp - the standard primitives with every step seen by the explorer. Included
// through runtimes/core/sync.hpp, which gives them their names in the code under
// exploration.
#pragma once

#include <atomic>
#include <bit>
#include <chrono>
#include <cstring>
#include <functional>
#include <mutex>
#include <type_traits>
#include <utility>

#include "runtimes/explore/engine.hpp"

namespace duel::explore {

// std::atomic<T> for a T of at most eight bytes.
template <class T>
class atomic {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8);

 public:
  using value_type = T;
  atomic() noexcept : atomic(T()) {}
  atomic(T value) noexcept { at_.newest().value = bits(value); }
  ~atomic() { forget(at_); }
  atomic(const atomic&) = delete;
  atomic& operator=(const atomic&) = delete;

  T load(std::memory_order order = std::memory_order_seq_cst,
         site at = site::current()) const noexcept {
    return value(explore::load(at_, order, at));
  }
  void store(T to, std::memory_order order = std::memory_order_seq_cst,
             site at = site::current()) noexcept {
    explore::store(at_, bits(to), order, at);
  }
  T exchange(T to, std::memory_order order = std::memory_order_seq_cst,
             site at = site::current()) noexcept {
    return modify([](T, T given) { return given; }, to, order, at);
  }
  bool compare_exchange_weak(T& expected, T to, std::memory_order success,
                             std::memory_order failed,
                             site at = site::current()) noexcept {
    return swap_if(expected, to, success, failed, true, at);
  }
  bool compare_exchange_weak(T& expected, T to,
                             std::memory_order order = std::memory_order_seq_cst,
                             site at = site::current()) noexcept {
    return swap_if(expected, to, order, on_failure(order), true, at);
  }
  bool compare_exchange_strong(T& expected, T to, std::memory_order success,
                               std::memory_order failed,
                               site at = site::current()) noexcept {
    return swap_if(expected, to, success, failed, false, at);
  }
  bool compare_exchange_strong(T& expected, T to,
                               std::memory_order order = std::memory_order_seq_cst,
                               site at = site::current()) noexcept {
    return swap_if(expected, to, order, on_failure(order), false, at);
  }

  T fetch_add(T n, std::memory_order order = std::memory_order_seq_cst,
              site at = site::current()) noexcept {
    return modify([](T a, T b) { return static_cast<T>(a + b); }, n, order, at);
  }
  T fetch_sub(T n, std::memory_order order = std::memory_order_seq_cst,
              site at = site::current()) noexcept {
    return modify([](T a, T b) { return static_cast<T>(a - b); }, n, order, at);
  }
  T fetch_or(T n, std::memory_order order = std::memory_order_seq_cst,
             site at = site::current()) noexcept {
    return modify([](T a, T b) { return static_cast<T>(a | b); }, n, order, at);
  }
  T fetch_and(T n, std::memory_order order = std::memory_order_seq_cst,
              site at = site::current()) noexcept {
    return modify([](T a, T b) { return static_cast<T>(a & b); }, n, order, at);
  }

  operator T() const noexcept { return load(); }
  T operator=(T to) noexcept {
    store(to);
    return to;
  }
  T operator++(int) noexcept { return fetch_add(1); }
  T operator++() noexcept { return static_cast<T>(fetch_add(1) + 1); }
  T operator--() noexcept { return static_cast<T>(fetch_sub(1) - 1); }

  // For futex.hpp.
  [[nodiscard]] location& where() const noexcept { return at_; }

 private:
  static std::uint64_t bits(T value) noexcept {
    std::uint64_t word = 0;
    std::memcpy(&word, &value, sizeof value);
    return word;
  }
  static T value(std::uint64_t word) noexcept {
    T out;
    std::memcpy(static_cast<void*>(&out), &word, sizeof out);
    return out;
  }
  static constexpr std::memory_order on_failure(std::memory_order order) noexcept {
    if (order == std::memory_order_acq_rel) return std::memory_order_acquire;
    if (order == std::memory_order_release) return std::memory_order_relaxed;
    return order;
  }
  template <class Change>
  T modify(Change change, T operand, std::memory_order order, site at) noexcept {
    auto apply = [=](T before) { return change(before, operand); };
    auto call = [](std::uint64_t before, const void* context) {
      return bits((*static_cast<const decltype(apply)*>(context))(value(before)));
    };
    return value(explore::modify(at_, call, &apply, order, at));
  }
  bool swap_if(T& expected, T to, std::memory_order success, std::memory_order failed,
               bool weak, site at) noexcept {
    auto seen = bits(expected);
    bool done = compare_exchange(at_, seen, bits(to), success, failed, weak, at);
    if (!done) expected = value(seen);
    return done;
  }

  mutable location at_;
};

// Plain data of which every use must be ordered with every other thread's writes.
template <class T>
class var {
 public:
  var() noexcept = default;
  var(T value) noexcept : value_(std::move(value)) {}
  var(const var& other) noexcept : value_(other.get()) {}
  var& operator=(const var& other) noexcept { return *this = other.get(); }
  var& operator=(T value) noexcept {
    plain_write(at_);
    value_ = std::move(value);
    return *this;
  }
  [[nodiscard]] const T& get() const noexcept {
    plain_read(at_);
    return value_;
  }
  operator T() const noexcept { return get(); }
  T operator->() const noexcept requires std::is_pointer_v<T> { return get(); }

 private:
  plain_location at_;
  T value_{};
};

// For core/futex.hpp.
inline void futex_wait(atomic<std::uint32_t>& word, std::uint32_t expected,
                       time deadline = time::max(), site at = site::current()) {
  futex_wait(word.where(), expected, deadline, at);
}
inline void futex_wake_one(atomic<std::uint32_t>& word, site at = site::current()) {
  futex_wake(word.where(), 1, at);
}

class mutex {
 public:
  mutex() noexcept = default;
  mutex(const mutex&) = delete;
  mutex& operator=(const mutex&) = delete;
  void lock() { explore::lock(at_); }
  bool try_lock() { return explore::try_lock(at_); }
  void unlock() { explore::unlock(at_); }

 private:
  location at_;
};

class jthread {
 public:
  jthread() noexcept = default;
  template <class Body>
  requires(!std::is_same_v<std::remove_cvref_t<Body>, jthread>) explicit jthread(
      Body&& body)
      : index_(spawn(std::forward<Body>(body))) {}
  jthread(jthread&& other) noexcept : index_(std::exchange(other.index_, 0)) {}
  jthread& operator=(jthread&& other) noexcept {
    if (joinable()) join();
    index_ = std::exchange(other.index_, 0);
    return *this;
  }
  ~jthread() {
    if (joinable()) join();
  }
  [[nodiscard]] bool joinable() const noexcept { return index_ != 0; }
  void join() { explore::join(std::exchange(index_, 0)); }

 private:
  unsigned index_ = 0;  // 0: none, for that is the model's body
};

template <class Completion = void>
class basic_barrier {
 public:
  explicit basic_barrier(std::ptrdiff_t count) noexcept
      : expected_(static_cast<std::uint32_t>(count)),
        missing_(static_cast<std::uint32_t>(count)) {}
  void arrive_and_wait() {
    auto turn = turn_.load();
    if (missing_.fetch_sub(1) == 1) return begin_turn();
    while (turn_.load() == turn) futex_wait(turn_.where(), turn, time::max(), {});
  }
  void arrive_and_drop() {
    --expected_;
    if (missing_.fetch_sub(1) == 1) begin_turn();
  }

 private:
  void begin_turn() {
    missing_ = expected_.load();
    ++turn_;
    futex_wake(turn_.where(), ~0u, {});
  }
  atomic<std::uint32_t> expected_, missing_, turn_{0};
};
template <class Completion = void>
using barrier = basic_barrier<Completion>;

inline void yield_thread() {
  yield();
}

struct steady_clock {
  using duration = std::chrono::steady_clock::duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::steady_clock::time_point;
  static constexpr bool is_steady = true;
  static time_point now() noexcept { return explore::now(); }
};

}  // namespace duel::explore
