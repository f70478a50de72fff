#include "runtimes/switches.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "runtimes/core/config.hpp"

namespace duel {

namespace {

constexpr std::string_view stealing = "stealing", sharded = "sharded", epoll = "epoll",
                           uring = "uring", any = "";

constexpr model_switch table[] = {
    {"steal", stealing, any, "half|one|off", "half",
     "how much of another worker's queue an idle worker takes"},
    {"lifo", stealing, any, "on|off", "on",
     "the task woken last runs next, on the worker that woke it"},
    {"queue", stealing, any, "local|global", "local",
     "one queue for each worker, or one for all"},
    {"reactor", stealing, epoll, "shared|thread|per-worker", "shared",
     "who polls: an idle worker, a thread of its own, or each worker its own"},
    {"reactor", stealing, uring, "per-worker", "per-worker", "each worker its own ring"},
    {"accept", sharded, any, "reuseport|least-loaded|round-robin", "reuseport",
     "which shard gets a new connection: the kernel's hash, the one with the fewest, "
     "the next"},
    {"doorbell", sharded, epoll, "eventfd", "eventfd", "what wakes a sleeping shard"},
    {"doorbell", sharded, uring, "eventfd|msg-ring", "eventfd",
     "what wakes a sleeping shard"},
    {"uring-recv", stealing, uring, "oneshot", "oneshot", "a request for each receive"},
    {"uring-recv", sharded, uring, "multishot|oneshot", "multishot",
     "one request for all receives of a socket, or one for each"},
    {"uring-send", sharded, uring, "ring|direct|zero-copy", "ring",
     "a request, a system call of its own at once, or a request that does not copy"},
    {"uring-flags", any, uring, "none|coop|defer|sqpoll", "defer",
     "when the kernel completes: by interrupting, at any system call, when asked; "
     "sqpoll: a kernel thread submits"},
    {"flush", sharded, uring, "turn|idle|1..1024", "turn",
     "when requests are handed over: every turn, before sleeping, every so many"},
    {"pin", stealing, any, "on|off", "off", "each worker on a CPU of its own"},
    {"pin", sharded, any, "on|off", "on", "each shard on a CPU of its own"},
    {"budget", stealing, epoll, "1..65535", "128",
     "operations a task completes without waiting before it must yield"},
    {"budget", sharded, any, "1..65535", "128",
     "operations a task completes without waiting before it must yield"},
    {"spin-us", any, any, "0..1000000", "0",
     "time spent looking for work before sleeping"},
};

bool applies(const model_switch& s, std::string_view model, std::string_view driver) {
  bool is_fiber_model = model == stealing || model == sharded;
  return is_fiber_model && (s.model.empty() || s.model == model) &&
         (s.driver.empty() || s.driver == driver);
}

bool is_within(std::string_view range, std::string_view value) {
  auto dots = range.find("..");
  if (dots == std::string_view::npos) return false;
  auto number = [](std::string_view text, std::uint64_t& out) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc{} && end == text.data() + text.size();
  };
  std::uint64_t least, most, n;
  return number(range.substr(0, dots), least) && number(range.substr(dots + 2), most) &&
         number(value, n) && n >= least && n <= most;
}

bool is_allowed(std::string_view values, std::string_view value) {
  while (!values.empty()) {
    auto one = values.substr(0, values.find('|'));
    if (value == one || is_within(one, value)) return true;
    values.remove_prefix(std::min(values.size(), one.size() + 1));
  }
  return false;
}

// "model stealing", "driver uring", "model sharded with driver uring".
std::string place_of(const model_switch& s) {
  if (s.model.empty() && s.driver.empty()) return "the models stealing and sharded";
  if (s.driver.empty()) return fmt::format("model {}", s.model);
  if (s.model.empty()) return fmt::format("driver {}", s.driver);
  return fmt::format("model {} with driver {}", s.model, s.driver);
}

std::string does_not_apply(std::string_view name, std::string_view model,
                           std::string_view driver) {
  std::string where;
  for (const model_switch& s : table) {
    if (s.name == name) where += (where.empty() ? "" : ", ") + place_of(s);
  }
  if (where.empty()) return fmt::format("no switch --{}", name);
  return fmt::format("--{} does not apply to model {} with driver {} (it is for {})",
                     name, model, driver, where);
}

}  // namespace

std::span<const model_switch> known_switches() noexcept {
  return table;
}

std::expected<switches, std::string> switches::choose(
    std::string_view model, std::string_view driver,
    const std::map<std::string, std::string>& given) {
  switches made;
  for (const model_switch& s : table) {
    if (!applies(s, model, driver)) continue;
    auto typed = given.find(std::string(s.name));
    std::string value(typed == given.end() ? s.initial : typed->second);
    if (!is_allowed(s.values, value)) {
      return std::unexpected(fmt::format("--{}: '{}' is not one of {} ({})", s.name,
                                         value, s.values, place_of(s)));
    }
    made.chosen_.push_back({s.name, std::move(value)});
  }
  for (const auto& [name, value] : given) {
    if (!made.has(name)) return std::unexpected(does_not_apply(name, model, driver));
  }
  return made;
}

bool switches::has(std::string_view name) const noexcept {
  return std::ranges::find(chosen_, name, &choice::name) != chosen_.end();
}

std::string_view switches::get(std::string_view name) const {
  auto found = std::ranges::find(chosen_, name, &choice::name);
  DUEL_ASSERT(found != chosen_.end());
  return found->value;
}

unsigned switches::number(std::string_view name) const {
  std::string_view text = get(name);
  unsigned n = 0;
  std::from_chars(text.data(), text.data() + text.size(), n);
  return n;
}

void switches::force(std::string_view name, std::string_view value) {
  auto found = std::ranges::find(chosen_, name, &choice::name);
  DUEL_ASSERT(found != chosen_.end());
  found->value = value;
}

std::string switches::describe() const {
  std::string text;
  for (const choice& c : chosen_) {
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", c.name, c.value);
  }
  return text;
}

}  // namespace duel
