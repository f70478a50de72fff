#include "runtimes/api/time.hpp"

#include <time.h>

#include <cstdio>

#include "runtimes/core/suspend.hpp"

namespace duel {

result<void> sleep_until(time_point deadline) {
  while (clock::now() < deadline) {
    if (is_cancelled(*current_task())) return failure(std::errc::operation_canceled);
    suspend(suspend_reason::sleep, deadline);
  }
  return {};
}

namespace {
duration thread_cpu_time() noexcept {
  timespec t;
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}
}  // namespace

void burn_for(duration d) noexcept {
  auto end = thread_cpu_time() + d;
  while (thread_cpu_time() < end) {
    for (int i = 0; i < 50; ++i) asm volatile("");
  }
}

void block_for(duration d) noexcept {
  timespec left = to_timespec(d);
  while (::clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR) {
  }
}

std::string_view http_date(time_point now) noexcept {
  thread_local time_point shown_until{};
  thread_local char text[32];
  if (now >= shown_until) {
    timespec today;
    ::clock_gettime(CLOCK_REALTIME_COARSE, &today);
    shown_until =
        coarse_now() + std::chrono::seconds(1) - std::chrono::nanoseconds(today.tv_nsec);
    tm utc;
    ::gmtime_r(&today.tv_sec, &utc);
    // Not strftime: day and month names must not follow the locale.
    static constexpr const char* days[] = {"Sun", "Mon", "Tue", "Wed",
                                           "Thu", "Fri", "Sat"};
    static constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT",
                  days[utc.tm_wday], utc.tm_mday, months[utc.tm_mon], utc.tm_year + 1900,
                  utc.tm_hour, utc.tm_min, utc.tm_sec);
  }
  return {text, 29};
}

}  // namespace duel
