#include "runtimes/uring_switches.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace duel {

namespace {

using uring::send_mode, uring::task_work;

// In the order of the enum.
constexpr std::array<std::string_view, 4> work_names{"sqpoll", "defer", "coop", "none"};
constexpr std::array<std::string_view, 3> send_names{"ring", "direct", "zero-copy"};

template <class Enum>
Enum value_of(std::string_view name, std::span<const std::string_view> names) {
  return static_cast<Enum>(std::ranges::find(names, name) - names.begin());
}
template <class Enum>
std::string_view name_of(Enum value, std::span<const std::string_view> names) {
  return names[static_cast<std::size_t>(value)];
}

unsigned flush_of(const switches& chosen) {
  if (chosen.get("flush") == "turn") return uring::every_turn;
  if (chosen.get("flush") == "idle") return uring::before_sleep;
  return chosen.number("flush");
}

}  // namespace

std::expected<uring::options, std::string> choose_uring(switches& chosen) {
  uring::options wanted{
      .work = value_of<task_work>(chosen.get("uring-flags"), work_names),
      .multishot_receive = chosen.get("uring-recv") == "multishot",
  };
  if (chosen.has("uring-send")) {
    wanted.send = value_of<send_mode>(chosen.get("uring-send"), send_names);
  }
  if (chosen.has("doorbell")) {
    wanted.message_doorbell = chosen.get("doorbell") == "msg-ring";
  }
  if (chosen.has("flush")) wanted.flush = flush_of(chosen);

  auto has = uring::supported(wanted);
  if (!has) return has;
  chosen.force("uring-flags", name_of(has->work, work_names));
  chosen.force("uring-recv", has->multishot_receive ? "multishot" : "oneshot");
  if (chosen.has("uring-send")) {
    chosen.force("uring-send", name_of(has->send, send_names));
  }
  if (chosen.has("doorbell")) {
    chosen.force("doorbell", has->message_doorbell ? "msg-ring" : "eventfd");
  }
  return has;
}

}  // namespace duel
