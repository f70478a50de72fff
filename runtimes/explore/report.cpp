#include "runtimes/explore/report.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

namespace duel::explore {

namespace {

// The first words of `text` that fit, and the rest indented.
std::vector<std::string> wrapped(std::string text, std::size_t width) {
  std::vector<std::string> lines;
  while (text.size() > width) {
    auto cut = text.rfind(' ', width);
    if (cut == std::string::npos || cut < width / 2) {
      cut = text.find_last_of("_.:", width - 1) + 1;  // within a name
    }
    if (cut < width / 2 || cut > width) cut = width;
    lines.push_back(text.substr(0, cut));
    auto rest = text.find_first_not_of(' ', cut);
    text = rest == std::string::npos ? "" : "  " + text.substr(rest);
  }
  if (!text.empty() || lines.empty()) lines.push_back(text);
  return lines;
}

// One row: a cell in the column of one thread.
struct row {
  std::size_t number = 0;  // of the step; 0: none
  agent thread = 0;
  std::string text, place;
  bool is_marked = false;
};

std::string place(const frame& at) {
  auto file = at.file();
  for (std::string_view known : {"runtimes/explore/", "runtimes/"}) {
    if (file.starts_with(known)) file.erase(0, known.size());
  }
  return file.empty() ? "" : fmt::format("{}:{}", file, at.line);
}

// What a thread that takes no further step for now is about to do.
std::string next_wait(const story& s, std::size_t from, agent thread) {
  for (auto i = from; i < s.events.size(); ++i) {
    const event& e = s.events[i];
    if (e.what->by != thread || !e.is_told || e.what->kind == step_kind::flush) continue;
    if (e.what->kind == step_kind::join) {
      return fmt::format("-- waits for {} --", letter(static_cast<agent>(e.what->after)));
    }
    return e.what->kind == step_kind::lock ? fmt::format("-- waits for {} --", e.name)
                                           : "";
  }
  return "";
}

class rows {
 public:
  explicit rows(const story& s) : functions_(s.threads.size()) {
    bool has_last = false;
    agent last = 0;
    for (std::size_t i = 0; i < s.events.size(); ++i) {
      const event& e = s.events[i];
      if (!e.is_told) continue;
      bool is_flush = e.what->kind == step_kind::flush;
      if (!is_flush && has_last && e.what->by != last) {
        auto wait = e.what->preempts ? "-- preempted --" : next_wait(s, i, last);
        if (!wait.empty()) made_.push_back({.thread = last, .text = wait});
      }
      if (!is_flush) {
        has_last = e.what->kind != step_kind::end && e.what->kind != step_kind::sleep;
        last = e.what->by;
        enter(e);
      }
      made_.push_back({i + 1, e.what->by, e.text, place(e.at), e.is_racing});
    }
  }
  void add(row r) { made_.push_back(std::move(r)); }

  // Leaves out the middle of what repeats itself.
  void shorten(std::size_t head, std::size_t tail) {
    if (made_.size() <= head + tail) return;
    auto left_out = made_.size() - head - tail;
    auto at = made_.begin() + static_cast<std::ptrdiff_t>(head);
    *at = {.text = fmt::format("... {} lines left out (--json has every step) ...",
                               left_out)};
    made_.erase(at + 1, at + static_cast<std::ptrdiff_t>(left_out));
  }

  void print(unsigned width) const {
    // Every thread gets what it needs while there is enough, else its share.
    std::vector<std::size_t> needs(functions_.size(), 1);
    std::size_t places = 0;
    for (const auto& each : made_) {
      needs[each.thread] = std::max(needs[each.thread], each.text.size());
      places = std::max(places, each.place.size());
    }
    std::size_t fixed = 6 + 2 * needs.size() + places;
    auto widths = shares(
        needs, width > fixed + 12 * needs.size() ? width - fixed : 12 * needs.size());
    std::string head = "    ";
    for (agent t = 0; t < widths.size(); ++t) {
      head += fmt::format("  {:{}}", letter(t), widths[t]);
    }
    fmt::print("{}\n", trimmed(head));
    for (const auto& each : made_) {
      auto lines = wrapped(each.text, widths[each.thread]);
      for (std::size_t i = 0; i < lines.size(); ++i) {
        std::string out =
            i == 0 && each.number != 0
                ? fmt::format("{:3}{}", each.number, each.is_marked ? '!' : ' ')
                : "    ";
        for (agent t = 0; t < widths.size(); ++t) {
          out += fmt::format("  {:{}}", t == each.thread ? lines[i] : "", widths[t]);
        }
        fmt::print("{}\n", trimmed(out + "  " + (i == 0 ? each.place : "")));
      }
    }
  }

 private:
  // A line with the function, when a thread is in another one.
  void enter(const event& e) {
    auto& in = functions_[e.what->by];
    if (e.at.function.empty() || in == e.at.function) return;
    in = e.at.function;
    made_.push_back({.thread = e.what->by, .text = "in " + in});
  }
  static std::vector<std::size_t> shares(const std::vector<std::size_t>& needs,
                                         std::size_t all) {
    std::size_t limit = 12;
    auto used = [&](std::size_t most) {
      std::size_t sum = 0;
      for (auto each : needs) sum += std::min(each, most);
      return sum;
    };
    while (limit < all && used(limit + 1) <= all) ++limit;
    std::vector<std::size_t> widths;
    for (auto each : needs) widths.push_back(std::min(each, limit));
    return widths;
  }
  static std::string trimmed(std::string line) {
    line.resize(line.find_last_not_of(' ') + 1);
    return line;
  }

  std::vector<row> made_;
  std::vector<std::string> functions_;  // that each thread is in
};

void print_calls(const std::vector<frame>& calls) {
  for (const auto& each : calls) {
    fmt::print("      {}  {}\n", each.function, place(each));
  }
}

void print_heap(const story& s) {
  for (const auto& each : s.blocks) {
    fmt::print("  {} bytes, allocated by {} in\n", each.size, letter(each.by));
    print_calls(each.made);
    if (each.is_live) continue;
    fmt::print("    freed by {} in\n", letter(each.freed_by));
    print_calls(each.freed);
  }
}

}  // namespace

unsigned width_of_terminal() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 120;
  return std::max<unsigned>(size.ws_col, 100);
}

void print(const model& m, const verdict& v, const story& s, const std::string& flags,
           unsigned width) {
  fmt::print("\n{}, {} memory: {}{}{}\n", m.name, name_of(v.memory), name_of(v.kind),
             v.message.empty() ? "" : ": ", v.message);
  fmt::print("  claim: {}\n", m.summary);
  for (agent t = 0; t < s.threads.size(); ++t) {
    auto at = place(s.thread_starts[t]);
    fmt::print("  {}: {}{}{}\n", letter(t), s.threads[t], at.empty() ? "" : "  ", at);
  }
  if (!s.has_symbols)
    fmt::print("  no lines and functions: install binutils (addr2line)\n");
  fmt::print("{} step{}", s.events.size(), s.events.size() == 1 ? "" : "s");
  auto untold = std::ranges::count_if(s.events, std::not_fn(&event::is_told));
  if (untold > 0) fmt::print(", {} of them on plain data and not shown", untold);
  fmt::print("; files are below runtimes/ or runtimes/explore/\n\n");

  rows all(s);
  if (!v.holds()) {
    auto at = s.failed_at.empty() ? "" : place(s.failed_at.front());
    if (v.kind != failure::deadlock && v.kind != failure::leak) {
      all.add({.thread = s.failed_by, .text = "FAILS: " + v.message, .place = at});
    }
  }
  if (v.kind == failure::livelock) all.shorten(20, 30);
  all.print(width);

  bool is_stuck = v.kind == failure::deadlock || v.kind == failure::livelock;
  for (const auto& each : s.waits) {
    if (!is_stuck) break;
    fmt::print("\n  {} {}, in\n", letter(each.thread), each.what);
    print_calls(each.calls);
  }
  if (!s.blocks.empty()) fmt::print("\n");
  print_heap(s);
  if (!s.failed_at.empty() && !is_stuck) {
    fmt::print("\n  {} fails in\n", letter(s.failed_by));
    print_calls(s.failed_at);
  }
  fmt::print("\nreproduce: ./duel explore {}\n\n", flags);
}

}  // namespace duel::explore
