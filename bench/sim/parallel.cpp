#include "bench/sim/parallel.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace duel::sim {

namespace {

using namespace std::chrono_literals;
using seconds = std::chrono::duration<double>;

// On a terminal a line that is rewritten; else one now and then, and none of short work.
class progress {
 public:
  progress(std::string what, std::size_t count)
      : what_(std::move(what)), count_(count), is_terminal_(::isatty(STDERR_FILENO)) {}
  ~progress() {
    if (is_terminal_ && has_shown_) fmt::print(stderr, "\r\x1b[K");
  }

  [[nodiscard]] std::chrono::milliseconds pause() const {
    return is_terminal_ ? 500ms : 10'000ms;
  }

  void show(std::size_t done) {
    if (what_.empty()) return;
    has_shown_ = true;
    auto line = fmt::format("{}: {}/{}", what_, done, count_);
    if (done > 0) {
      seconds spent = std::chrono::steady_clock::now() - begin_;
      auto left =
          spent.count() / static_cast<double>(done) * static_cast<double>(count_ - done);
      line += fmt::format(", {:.0f} s left", left);
    }
    fmt::print(stderr, "{}{}", is_terminal_ ? "\r\x1b[K" : "", line);
    if (!is_terminal_) fmt::print(stderr, "\n");
    std::fflush(stderr);
  }

 private:
  std::string what_;
  std::size_t count_;
  bool is_terminal_, has_shown_ = false;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace

void for_each_index(std::size_t count, unsigned threads, const std::string& what,
                    const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0}, done{0};
  std::mutex lock;
  std::condition_variable ended;
  std::exception_ptr error;
  auto running = static_cast<unsigned>(
      std::max<std::size_t>(1, std::min<std::size_t>(threads, count)));
  progress line(what, count);

  auto body = [&] {
    try {
      for (std::size_t i; (i = next++) < count; ++done) work(i);
    } catch (...) {
      next = count;
      std::lock_guard held(lock);
      if (!error) error = std::current_exception();
    }
    std::lock_guard held(lock);
    --running;
    ended.notify_one();
  };
  {
    std::vector<std::jthread> pool;
    for (auto i = running; i > 0; --i) pool.emplace_back(body);
    std::unique_lock held(lock);
    while (!ended.wait_for(held, line.pause(), [&] { return running == 0; })) {
      line.show(done);
    }
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace duel::sim
