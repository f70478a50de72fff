// test_combination.hpp - the axes of task_combinations_test.cpp: what can happen to a
// task and its handle, and which combinations of it make sense.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace duel {

enum class ending { value, exception };
enum class dropping { counts, waits };  // what the result's destructor does
enum class handle_use {
  join,
  join_elsewhere,  // moved into another task, and joined there
  detach_at_once,
  detach_suspended,  // after the first suspension
  detach_finished,
  drop_finished,
};
enum class cancelling { not_at_all, at_once, suspended, finished };
enum class actor { spawner, task, thread };  // who cancels and wakes
enum class waking { by_value, by_reference, by_clone };
enum class last_waker { goes, stays };  // stays: it outlives result, handle and life

struct combination {
  ending ends;
  dropping drops;
  handle_use handle;
  cancelling cancels;
  actor acts;
  int waits;
  waking wakes;
  last_waker last;

  [[nodiscard]] bool is_detached_early() const {
    return handle == handle_use::detach_at_once || handle == handle_use::detach_suspended;
  }
  // Waits that end by a wake: a cancellation ends the first one.
  [[nodiscard]] int passed() const {
    bool in_time = cancels == cancelling::at_once || cancels == cancelling::suspended;
    return in_time ? 0 : waits;
  }
  [[nodiscard]] bool makes_sense(bool exclusive) const {
    if (waits == 0) {
      // One of those that differ in nothing.
      if (wakes != waking::by_value || last == last_waker::stays) return false;
      if (handle == handle_use::detach_suspended) return false;
      if (cancels == cancelling::suspended) return false;
      if (cancels == cancelling::not_at_all && acts != actor::spawner) return false;
    }
    // Without a handle only a waker still leads to it.
    if (is_detached_early() && cancels == cancelling::finished &&
        last == last_waker::goes) {
      return false;
    }
    // An exclusive task's references are counted by its own thread.
    bool clones = wakes == waking::by_clone ||
                  (wakes == waking::by_value && last == last_waker::stays);
    return !(exclusive && acts == actor::thread && clones);
  }
  [[nodiscard]] std::string description() const;
};

namespace detail {

template <std::size_t N, class Axis>
std::string_view name_on(const std::string_view (&names)[N], Axis value) {
  return names[static_cast<std::size_t>(value)];
}

}  // namespace detail

inline std::string combination::description() const {
  using detail::name_on;
  std::string text;
  auto add = [&text](std::string_view axis, std::string_view value) {
    text += std::string(axis) + "=" + std::string(value) + " ";
  };
  add("ends", name_on({"value", "exception"}, ends));
  add("drops", name_on({"counts", "waits"}, drops));
  add("handle", name_on({"join", "join_elsewhere", "detach_at_once", "detach_suspended",
                         "detach_finished", "drop_finished"},
                        handle));
  add("cancels", name_on({"not_at_all", "at_once", "suspended", "finished"}, cancels));
  add("acts", name_on({"spawner", "task", "thread"}, acts));
  add("waits", std::to_string(waits));
  add("wakes", name_on({"by_value", "by_reference", "by_clone"}, wakes));
  add("last_waker", name_on({"goes", "stays"}, last));
  text.pop_back();
  return text;
}

// All that make sense; `most_waits`: 0 where nobody runs beside a task that waits.
inline std::vector<combination> all_combinations(bool exclusive, int most_waits) {
  constexpr int sizes[] = {2, 2, 6, 4, 3, 3, 3, 2};
  std::vector<combination> all;
  for (int n = 0; n < 2 * 2 * 6 * 4 * 3 * 3 * 3 * 2; ++n) {
    int at[std::size(sizes)];
    for (int rest = n, axis = 0; axis < 8; rest /= sizes[axis++]) {
      at[axis] = rest % sizes[axis];
    }
    combination c{ending(at[0]), dropping(at[1]), handle_use(at[2]), cancelling(at[3]),
                  actor(at[4]),  at[5],           waking(at[6]),     last_waker(at[7])};
    if (c.waits <= most_waits && c.makes_sense(exclusive)) all.push_back(c);
  }
  return all;
}

}  // namespace duel
