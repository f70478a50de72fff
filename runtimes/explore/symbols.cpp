#include "runtimes/explore/symbols.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>

namespace duel::explore {

namespace {

constexpr auto npos = std::string::npos;

// Cuts every balanced pair of `open` and `close` out, with what is between.
std::string without(const std::string& text, char open, char close) {
  std::string out;
  int depth = 0;
  for (char c : text) {
    depth += c == open;
    if (depth == 0) out += c;
    if (c == close && depth > 0) --depth;
  }
  return out;
}

void replace_all(std::string& text, std::string_view what, std::string_view by) {
  for (auto at = text.find(what); at != std::string::npos;
       at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
}

std::string short_name(std::string name) {
  replace_all(name, "(anonymous namespace)::", "");
  replace_all(name, "operator()", "operator");
  replace_all(name, "operator->", "operator-");
  name = without(name, '<', '>');
  name = without(name, '{', '}');  // lambdas
  name = without(name, '(', ')');
  replace_all(name, " const", "");
  if (auto clone = name.find(" ["); clone != std::string::npos) name.resize(clone);
  if (auto type = name.rfind(' '); type != std::string::npos) name.erase(0, type + 1);
  // Debug information has only this for a lambda, or the wrapper that it is inlined into.
  if (name == "operator" || name.starts_with("std::")) return "a lambda";
  // The class is enough.
  auto last = name.rfind("::");
  if (last != npos && last > 0) last = name.rfind("::", last - 1);
  if (last != npos) name.erase(0, last + 2);
  return name;
}

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
}

// The start of the expression that ends before `end`: names, members, calls, elements.
std::size_t start_of_object(std::string_view text, std::size_t end) {
  std::size_t at = end;
  while (at > 0) {
    char c = text[at - 1];
    if (is_word(c) || c == '.' || c == ':') {
      --at;
    } else if (c == '>' && at > 1 && text[at - 2] == '-') {
      at -= 2;
    } else if (c == ']' || c == ')') {
      int depth = 0;
      do {
        --at;
        depth += text[at] == ']' || text[at] == ')';
        depth -= text[at] == '[' || text[at] == '(';
      } while (at > 0 && depth > 0);
    } else {
      break;
    }
  }
  while (at < end && (text[at] == ':' || text[at] == '.')) ++at;
  return at;
}

std::span<const char* const> names_of(step_kind kind) {
  static constexpr const char* loads[] = {"load", "fetch_add", "fetch_or"};
  static constexpr const char* stores[] = {"store"};
  static constexpr const char* changes[] = {"fetch_add", "fetch_sub", "fetch_or",
                                            "fetch_and", "exchange"};
  static constexpr const char* swaps[] = {"compare_exchange_strong",
                                          "compare_exchange_weak"};
  static constexpr const char* locks[] = {"lock", "try_lock", "unlock"};
  switch (kind) {
    case step_kind::load:
      return loads;
    case step_kind::store:
    case step_kind::flush:
      return stores;
    case step_kind::modify:
      return changes;
    case step_kind::compare_exchange:
      return swaps;
    case step_kind::lock:
    case step_kind::try_lock:
    case step_kind::unlock:
      return locks;
    default:
      return {};
  }
}

// What stands between the brackets that open behind `at`.
std::string argument(std::string_view text, std::size_t at) {
  auto open = text.find_first_of("({", at);
  if (open == npos) return "";
  auto close = text.find_first_of(",)}", open);
  if (close == npos) return "";
  auto first = text.substr(open + 1, close - open - 1);
  return std::string(first.substr(0, first.find(".where(")));
}

}  // namespace

std::string frame::file() const {
  auto normal = std::filesystem::path(path).lexically_normal().string();
  auto at = normal.rfind("/runtimes/");
  return at == npos ? "" : normal.substr(at + 1);
}

bool frame::is_of_interest() const {
  constexpr std::string_view own = "runtimes/explore/";
  auto name = file();
  if (name.empty() || name.starts_with("runtimes/core/fiber.")) return false;
  return !name.starts_with(own) || name.find('/', own.size()) != npos;
}

void symbols::want(const call_stack& stack) {
  for (void* each : stack) {
    if (each) wanted_.insert(each);
  }
}

bool symbols::look_up() {
  auto command = fmt::format("addr2line -a -f -C -i -e /proc/{}/exe", ::getpid());
  std::vector<void*> asked;
  for (void* each : wanted_) {
    if (found_.contains(each)) continue;
    asked.push_back(each);
    // The call is before its return address.
    command += fmt::format(" {:#x}", reinterpret_cast<std::uintptr_t>(each) - 1);
  }
  wanted_.clear();
  if (asked.empty()) return true;
  auto close = [](FILE* f) { ::pclose(f); };
  std::unique_ptr<FILE, decltype(close)> from(
      ::popen((command + " 2>/dev/null").c_str(), "r"));
  if (!from) return false;
  auto next = asked.begin();
  std::string function;
  std::vector<frame>* current = nullptr;
  char* text = nullptr;
  std::size_t room = 0;
  for (ssize_t n; (n = ::getline(&text, &room, from.get())) > 0;) {
    std::string line(text, static_cast<std::size_t>(n) - 1);
    if (line.starts_with("0x")) {
      if (next == asked.end()) break;
      current = &found_[*next++];
    } else if (function.empty()) {
      function = line;
    } else if (current) {
      auto colon = line.rfind(':');
      frame f{short_name(function), line.substr(0, colon),
              static_cast<unsigned>(std::atoi(line.c_str() + colon + 1))};
      function.clear();
      if (f.is_of_interest()) current->push_back(std::move(f));
    }
  }
  std::free(text);
  return next == asked.end();
}

std::vector<frame> symbols::calls(const call_stack& stack) const {
  std::vector<frame> all;
  for (void* each : stack) {
    auto at = found_.find(each);
    if (at != found_.end()) all.insert(all.end(), at->second.begin(), at->second.end());
  }
  return all;
}

std::string source_line(const std::string& path, unsigned line) {
  static std::map<std::string, std::vector<std::string>> files;
  auto [at, is_new] = files.try_emplace(path);
  if (is_new) {
    std::ifstream in(path);
    for (std::string text; std::getline(in, text);) {
      auto first = text.find_first_not_of(" \t");
      at->second.push_back(first == npos ? "" : text.substr(first));
    }
  }
  return line == 0 || line > at->second.size() ? "" : at->second[line - 1];
}

unsigned statement_start(const std::string& path, unsigned line) {
  int open = 0;
  for (unsigned at = line; at > 0 && line - at < 100; --at) {
    for (char c : source_line(path, at)) {
      open += c == ')' || c == '}';
      open -= c == '(' || c == '{';
    }
    if (open <= 0) return at;
  }
  return line;
}

expression expression_of(step_kind kind, const std::string& path, unsigned line) {
  // A call that spans lines is where it begins, or ends.
  for (unsigned near : {line, line - 1, line + 1}) {
    auto text = source_line(path, near);
    text = text.substr(0, text.find("//"));
    for (const char* name : names_of(kind)) {
      for (auto at = text.find(name); at != npos; at = text.find(name, at + 1)) {
        auto end = at + std::string_view(name).size();
        if (at == 0 || end >= text.size() || text[end] != '(') continue;
        std::size_t dot = text[at - 1] == '.'                  ? 1
                          : text.substr(0, at).ends_with("->") ? 2
                                                               : 0;
        if (dot == 0) continue;
        auto first = start_of_object(text, at - dot);
        return {text.substr(first, at - dot - first), name};
      }
    }
    for (const char* name : {"futex_wait", "futex_wake_one", "futex_wake"}) {
      if (kind != step_kind::sleep && kind != step_kind::wake) break;
      if (auto at = text.find(name); at != npos) return {argument(text, at), name};
    }
    if (kind != step_kind::lock) continue;
    for (const char* guard : {"lock_guard", "unique_lock", "scoped_lock"}) {
      if (auto at = text.find(guard); at != npos) return {argument(text, at), "lock"};
    }
  }
  return {};
}

}  // namespace duel::explore
