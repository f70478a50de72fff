#include "runtimes/api/signal.hpp"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace duel {

namespace {

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  // The terminal has gone; under nohup it is ignored, and a blocked signal that is waited
  // for would come all the same.
  struct sigaction hangup;
  if (::sigaction(SIGHUP, nullptr, &hangup) == 0 && hangup.sa_handler != SIG_IGN) {
    sigaddset(&set, SIGHUP);
  }
  return set;
}

}  // namespace

stop_on_signal::stop_on_signal(scheduler& target, duration patience) : target_(target) {
  for (int each : {SIGPIPE, SIGXFSZ}) ::signal(each, SIG_IGN);
  sigset_t set = stop_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  try {
    watcher_ = std::thread([this, patience] { watch(patience); });
  } catch (const std::system_error& e) {
    throw std::system_error(e.code(),
                            "no thread to wait for signals (raise ulimit -u, "
                            "kernel.threads-max or pids.max, or free memory)");
  }
}

stop_on_signal::~stop_on_signal() {
  over_ = true;
  ::pthread_kill(watcher_.native_handle(), SIGTERM);
  watcher_.join();
}

void stop_on_signal::watch(duration patience) {
  sigset_t set = stop_signals();
  siginfo_t info;
  while (::sigwaitinfo(&set, &info) < 0) {  // EINTR: ask again
  }
  if (over_) return;
  signalled_ = true;
  target_.stop(stop_mode::drain);
  // Another signal, or the end of patience; EINTR (stopped, or traced) is neither.
  const time_point end = clock::now() + patience;
  timespec wait;
  do {
    wait = to_timespec(std::max(end - clock::now(), duration::zero()));
  } while (::sigtimedwait(&set, &info, &wait) < 0 && errno == EINTR);
  if (over_) return;
  cut_ = true;
  target_.stop(stop_mode::cut);
  while (!over_) ::sigwaitinfo(&set, &info);
}

}  // namespace duel
