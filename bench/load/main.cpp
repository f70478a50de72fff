// main.cpp - duel-load: an HTTP/1.1 load generator that shares no code with what it
// measures. Starts the workers, waits, and reports. See DESIGN.md.
#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <exception>
#include <memory>
#include <thread>

#include "bench/load/own_limits.hpp"
#include "bench/load/scout.hpp"
#include "bench/load/summary.hpp"
#include "bench/load/worker.hpp"
#include "bench/output_file.hpp"

namespace duel::load {
namespace {

constexpr int exit_failed = 1;
constexpr ns head_start = second / 100;  // so that all threads see the start coming

// One line, with the fix; ends the program.
struct failure {
  std::string what;
  int code = exit_failed;
};

void raise_file_limit(std::size_t connections) {
  rlimit files;
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  auto needed = connections + 64;
  if (files.rlim_cur < needed) {
    throw failure{fmt::format(
        "{} connections need {} descriptors and the limit is {} (ulimit -n {}, or fewer "
        "--connections)",
        connections, needed, files.rlim_cur, needed)};
  }
}

void check_cpus(const options& o) {
  cpu_set_t allowed;
  ::sched_getaffinity(0, sizeof allowed, &allowed);
  for (unsigned cpu : o.cpus) {
    if (!CPU_ISSET(cpu, &allowed)) {
      throw failure{fmt::format(
          "--cpus: CPU {} is not there or not allowed (taskset -p $$ lists them)", cpu)};
    }
  }
}

void pin(unsigned cpu) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  ::pthread_setaffinity_np(::pthread_self(), sizeof one, &one);
}

// SIGINT and SIGTERM end the run early; a thread of its own waits for them.
class stopper {
 public:
  stopper() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGINT);
    sigaddset(&signals_, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    thread_ = std::thread([this] {
      timespec patience{.tv_sec = 0, .tv_nsec = second / 20};
      while (!is_over_ && signal_ == 0) {
        int got = ::sigtimedwait(&signals_, nullptr, &patience);
        if (got > 0) signal_ = got, stop = true;
      }
    });
  }
  ~stopper() {
    is_over_ = true;
    thread_.join();
  }
  [[nodiscard]] int signal() const { return signal_; }

  std::atomic<bool> stop{false};

 private:
  sigset_t signals_;
  std::atomic<int> signal_{0};
  std::atomic<bool> is_over_{false};
  std::thread thread_;
};

class results {
 public:
  explicit results(const options& o) {
    if (!o.json.empty()) open(o.json);
    if (o.hgrm.empty()) return;
    std::string_view base = o.hgrm;
    if (base.ends_with(".hgrm")) base.remove_suffix(5);
    open(fmt::format("{}.intended.hgrm", base));
    open(fmt::format("{}.sent.hgrm", base));
  }
  void write(const summary& s) {
    auto next = files_.begin();
    if (!s.o.json.empty()) write(*next++, as_json(s));
    if (s.o.hgrm.empty()) return;
    write(*next++, s.intended.to_hgrm());
    write(*next, s.sent.to_hgrm());
  }

 private:
  static void check(const output_file& file) {
    if (!file.error()) return;
    throw failure{
        fmt::format("cannot write {}: {} (free some space, or give another path)",
                    file.path(), std::strerror(file.error()))};
  }
  void open(std::string path) { check(files_.emplace_back(std::move(path))); }
  static void write(output_file& file, const std::string& text) {
    file.write(text);
    check(file);
  }

  std::deque<output_file> files_;
};

int run(const options& o) {
  raise_file_limit(o.connections);
  check_cpus(o);
  results files(o);
  stopper signals;

  exchange talk(o);
  auto scouted = scout_ahead(o, talk, signals.stop);
  if (!scouted) throw failure{scouted.error()};
  const char* too_early = "stopped before anything was measured";
  if (signals.stop) throw failure{too_early, 128 + signals.signal()};
  if (*scouted) talk.learn(**scouted);
  if (talk.is_curious()) talk.give_up();

  auto parts = shares(o.connections, o.arrivals.zipf);
  std::deque<worker> workers;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < o.threads; ++i) workers.emplace_back(o, talk, i, parts);
  for (std::size_t i = 0; i < o.threads; ++i) {
    threads.emplace_back([&, i] {
      if (!o.cpus.empty()) pin(o.cpus[i % o.cpus.size()]);
      workers[i].run(signals.stop);
    });
  }
  for (worker& w : workers) w.is_connected.wait(false);
  std::size_t established = 0;
  int why_not = 0;
  for (worker& w : workers) {
    established += w.established();
    if (w.connect_error()) why_not = w.connect_error();
  }

  window when;
  if (established > 0 && !signals.stop) {
    when.start = now() + head_start;
    when.begin = when.start + o.warmup;
    when.middle = when.begin + o.duration / 2;
    when.end = when.begin + o.duration;
  }
  for (worker& w : workers) {
    w.when = when;
    w.may_start = true;
    w.may_start.notify_one();
  }
  for (auto& thread : threads) thread.join();
  if (signals.stop && (when.start == never || workers[0].ended() <= when.begin)) {
    throw failure{too_early, 128 + signals.signal()};
  }
  if (established == 0 && is_own_limit(why_not)) {
    throw failure{fmt::format("no connection to {}: {}", o.host, say_own_limit(why_not))};
  }
  if (established == 0) {
    throw failure{
        fmt::format("no connection to {} within {:.6g} s: {} (is the server overloaded? "
                    "see ulimit -n "
                    "and --source; --connect-timeout gives it longer)",
                    o.host, static_cast<double>(o.connect_timeout) / 1e9,
                    why_not ? std::strerror(why_not) : "it does not accept")};
  }

  tally all;
  std::vector<connection_record> records;
  std::vector<cpu_use> use;
  for (worker& w : workers) {
    all.merge(w.counts());
    std::ranges::copy(w.records(), std::back_inserter(records));
    use.push_back(w.use());
    if (signals.stop) when.end = std::min(when.end, std::max(w.ended(), when.begin + 1));
  }
  std::ranges::sort(records, {}, &connection_record::number);
  bool was_stopped = workers[0].ended() < when.begin + o.duration;
  auto made =
      summarise(o, when, std::move(all), records, std::move(use),
                {.bodies = talk.checks_bodies(), .ids = talk.checks_ids()}, was_stopped);
  auto text = as_text(made);
  bool is_printed = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
                    std::fflush(stdout) == 0;
  files.write(made);
  if (!is_printed) {
    throw failure{fmt::format("cannot write the report: {} (check standard output)",
                              std::strerror(errno))};
  }
  return was_stopped ? 128 + signals.signal() : 0;
}

}  // namespace
}  // namespace duel::load

int main(int argc, char** argv) {
  using namespace duel::load;
  ::signal(SIGPIPE, SIG_IGN);
  auto o = parse_command_line(argc, argv);
  if (!o) return o.error();
  try {
    return run(*o);
  } catch (const failure& f) {
    complain(f.what);
    return f.code;
  } catch (const std::exception& e) {
    complain(fmt::format("{} (free some memory, or ask for less)", e.what()));
    return exit_failed;
  }
}
