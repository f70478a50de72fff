#include "servers/handlers/metrics_text.hpp"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>

namespace duel::handlers {

namespace {

using out = std::back_insert_iterator<std::string>;

struct explanation {
  counter which;
  std::string_view help;
};

constexpr std::array<explanation, counter_names.size()> explanations{{
    {counter::accepted, "Connections accepted."},
    {counter::connections, "Connections whose task started here."},
    {counter::closed, "Connections whose task ended here."},
    {counter::connections_max, "The most connections that were open here at once."},
    {counter::served, "Connections that got at least one response."},
    {counter::requests, "Responses completed."},
    {counter::turned_away, "Connections that got a 503: there were too many."},
    {counter::spawns, "Tasks spawned."},
    {counter::polls, "Steps of tasks."},
    {counter::longest_poll_ns, "The longest step of a task."},
    {counter::forced_yields, "Steps ended because the budget was spent."},
    {counter::lifo_hits, "Tasks that came from the lifo slot."},
    {counter::inject_pops, "Tasks taken from the shared queue."},
    {counter::overflow, "Tasks that found the own queue full."},
    {counter::steal_attempts, "Looks into another worker's queue."},
    {counter::steals, "Looks into another worker's queue that brought tasks."},
    {counter::stolen, "Tasks taken from another worker's queue."},
    {counter::parks, "Times it went to sleep."},
    {counter::wake_ups, "Times it woke another worker or shard."},
    {counter::spurious, "Times it was woken and found nothing."},
    {counter::running_ns, "Time since its loop began."},
    {counter::idle_ns, "Time asleep."},
    {counter::searching_ns, "Time looking for tasks elsewhere, or spinning."},
    {counter::messages, "Messages sent to other shards."},
    {counter::received, "Messages from other shards handled."},
    {counter::message_ns, "Time from sending to handling of the timed messages."},
    {counter::timed, "Messages whose way was timed."},
    {counter::driver_calls, "Calls of the driver into the kernel to poll or submit."},
    {counter::events, "Events or completions that the driver's calls brought."},
    {counter::submitted, "Requests handed to the ring."},
    {counter::again, "System calls that would have blocked."},
}};
static_assert([] {
  for (unsigned i = 0; i < explanations.size(); ++i) {
    if (explanations[i].which != counter{i} || explanations[i].help.empty()) return false;
  }
  return true;
}());

constexpr bool is_maximum(counter c) {
  return c == counter::connections_max || c == counter::longest_poll_ns;
}

void head(out to, std::string_view name, std::string_view type, std::string_view help) {
  fmt::format_to(to, "# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
}

// A metric without labels.
template <class Number>
void one(out to, std::string_view name, std::string_view type, std::string_view help,
         Number value) {
  head(to, name, type, help);
  fmt::format_to(to, "{} {}\n", name, value);
}

void of_workers(out to, const explanation& what, const report& told) {
  std::string_view plain = counter_names[std::to_underlying(what.which)];
  bool is_time = plain.ends_with("_ns");
  if (is_time) plain.remove_suffix(std::string_view("_ns").size());
  bool is_gauge = is_maximum(what.which);
  auto name = fmt::format("duel_{}{}{}", plain, is_time ? "_seconds" : "",
                          is_gauge ? "" : "_total");
  head(to, name, is_gauge ? "gauge" : "counter", what.help);
  for (std::size_t i = 0; i < told.workers.size(); ++i) {
    auto value = told.workers[i]->get(what.which);
    fmt::format_to(to, "{}{{worker=\"{}\"}} ", name, i);
    if (is_time) {
      fmt::format_to(to, "{}\n", static_cast<double>(value) / 1e9);
    } else {
      fmt::format_to(to, "{}\n", value);
    }
  }
}

void info(out to, const report& told) {
  head(to, "duel_info", "gauge", "Always 1; the labels are every choice in effect.");
  std::string labels;
  for (auto [name, value] : told.words()) {
    std::ranges::replace(name, '-', '_');
    labels += fmt::format("{}{}=\"{}\"", labels.empty() ? "" : ",", name, value);
  }
  fmt::format_to(to, "duel_info{{{}}} 1\n", labels);
}

double cpu_seconds() {
  rusage used;
  ::getrusage(RUSAGE_SELF, &used);
  auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

long resident_bytes() {
  long size = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

// One less than the look itself sees.
std::ptrdiff_t open_descriptors() {
  return std::ranges::distance(std::filesystem::directory_iterator("/proc/self/fd")) - 1;
}

}  // namespace

std::string metrics_text(const report& told) {
  std::string text;
  out to(text);
  info(to, told);
  for (const auto& each : explanations) of_workers(to, each, told);
  one(to, "duel_open_connections", "gauge", "Connections open now.",
      told.connections_now);
  one(to, "duel_open_connections_max", "gauge", "The most connections open at once.",
      told.connections_max);
  one(to, "duel_uptime_seconds", "gauge", "Time since the server started.",
      told.uptime_s);
  one(to, "process_cpu_seconds_total", "counter", "User and system CPU time.",
      cpu_seconds());
  one(to, "process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes());
  one(to, "process_open_fds", "gauge", "Open file descriptors.", open_descriptors());
  return text;
}

}  // namespace duel::handlers
