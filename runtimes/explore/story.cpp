#include "runtimes/explore/story.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "runtimes/explore/table.hpp"

namespace duel::explore {

namespace {

std::string value(std::uint64_t v) {
  return v < 100'000 ? std::to_string(v) : fmt::format("{:#x}", v);
}

bool is_plain(step_kind k) {
  return k == step_kind::plain_read || k == step_kind::plain_write;
}

std::string order_of(const step& s) {
  auto order = static_cast<std::memory_order>(s.order);
  return order == std::memory_order_seq_cst ? "" : fmt::format(" ({})", name_of(order));
}

// Objects by their addresses: numbered as they come, named as their first line does.
class cast {
 public:
  unsigned number(const void* object, const std::string& name) {
    if (!object) return 0;
    auto [at, is_new] = numbers_.try_emplace(object, numbers_.size() + 1);
    if (is_new) names_.emplace_back();
    auto& known = names_[at->second - 1];
    if (known.empty() && !name.empty()) {
      known = name;
      ++bearers_[name];
    }
    return static_cast<unsigned>(at->second);
  }
  // What this line calls it, or else an earlier one; with its number if others are
  // called the same.
  [[nodiscard]] std::string name(unsigned number, const std::string& here) const {
    if (number == 0) return here;
    const auto& known = names_[number - 1];
    const auto& shown = here.empty() ? known : here;
    if (shown.empty()) return fmt::format("#{}", number);
    auto bearers = bearers_.find(shown);
    bool is_one = shown == known && bearers != bearers_.end() && bearers->second == 1;
    return is_one ? shown : fmt::format("{}#{}", shown, number);
  }

 private:
  std::map<const void*, std::size_t> numbers_;
  std::vector<std::string> names_;
  std::map<std::string, unsigned> bearers_;
};

std::string words_for(const event& e, const expression& x) {
  const step& s = *e.what;
  auto call = [&](const char* usual) {
    if (!x.operation.empty()) return e.name + '.' + x.operation;
    // A conversion, an operator, a barrier: the line says what it is.
    auto line = source_line(e.at.path, e.at.line);
    return (line.empty() ? "" : line + ": ") + e.name + '.' + usual;
  };
  switch (s.kind) {
    case step_kind::load:
      return call("load") + " is " + value(s.before) + order_of(s) +
             (s.is_stale ? " [stale: the newest is " + value(s.after) + ']' : "");
    case step_kind::store:
      return s.is_buffered
                 ? call("store") + ' ' + value(s.after) + order_of(s) + " [buffered]"
                 : call("store") + ' ' + value(s.before) + " -> " + value(s.after) +
                       order_of(s);
    case step_kind::modify:
      return call("exchange") + ' ' + value(s.before) + " -> " + value(s.after) +
             order_of(s);
    case step_kind::compare_exchange:
      if (s.succeeded) {
        return call("compare_exchange") + ' ' + value(s.before) + " -> " +
               value(s.after) + order_of(s);
      }
      return call("compare_exchange") + " [fails" +
             (s.is_spurious ? " for no reason]" : ": is " + value(s.before) + ']') +
             order_of(s);
    case step_kind::flush:
      return e.name + ' ' + value(s.before) + " -> " + value(s.after) +
             " [reaches memory]";
    case step_kind::fence:
      return "fence";
    case step_kind::lock:
      return e.name + ".lock";
    case step_kind::try_lock:
      return e.name + ".try_lock" + (s.succeeded ? "" : " [fails]");
    case step_kind::unlock:
      return e.name + ".unlock";
    case step_kind::sleep:
      return fmt::format("sleeps on {}", e.name) +
             (s.succeeded           ? ""
              : s.before != s.after ? " [does not: is " + value(s.before) + ']'
                                    : " [does not: too late]");
    case step_kind::awake:
      return s.succeeded ? "is awake" : "is awake [its deadline has come]";
    case step_kind::wake:
      return fmt::format("wakes {} on {}", s.after == 0 ? "nobody" : value(s.after),
                         e.name);
    case step_kind::spawn:
      return fmt::format("starts {}", letter(static_cast<agent>(s.after)));
    case step_kind::join:
      return fmt::format("has joined {}", letter(static_cast<agent>(s.after)));
    case step_kind::yield:
      return "yields";
    case step_kind::plain_read:
    case step_kind::plain_write:
      return fmt::format("{}: {}", s.kind == step_kind::plain_read ? "reads" : "writes",
                         source_line(e.at.path, e.at.line));
    case step_kind::note:
      return '"' + s.text + '"';
    case step_kind::end:
      return "ends";
    case step_kind::start:
      break;
  }
  return name_of(s.kind);
}

frame place_of(const step& s, const std::vector<frame>& calls) {
  frame given{"", s.file, s.line};
  if (!given.is_of_interest()) {
    if (calls.empty()) return {};
    given = calls.front();
    if (s.kind == step_kind::spawn) {
      given.line = statement_start(given.path, given.line);
    }
    return given;
  }
  for (const auto& each : calls) {
    if (each.file() == given.file()) {
      given.function = each.function;
      break;
    }
  }
  return given;
}

// The pair that races: the last step, and the other thread's last access before it.
void mark_race(story& s, const trace& t) {
  if (!t.races_with || s.events.empty()) return;
  auto is_on_it = [&](const event& e, agent by) {
    return e.what->object == t.object && e.what->by == by && is_plain(e.what->kind);
  };
  auto mine = std::ranges::find_if(s.events.rbegin(), s.events.rend(),
                                   [&](auto& e) { return is_on_it(e, t.failed_by); });
  auto other = std::ranges::find_if(s.events.rbegin(), s.events.rend(), [&](auto& e) {
    return is_on_it(e, t.races_with->by) && e.what->kind == t.races_with->kind;
  });
  for (auto each : {mine, other}) {
    if (each != s.events.rend()) each->is_racing = true;
  }
  if (mine != s.events.rend() && other != s.events.rend()) {
    mine->text += fmt::format(" [races with {}]", s.events.rend() - other);
    other->text += fmt::format(" [races with {}]", s.events.rend() - mine);
  }
}

void tell_of_heap(story& s, const trace& t, const verdict& v, const symbols& names) {
  auto address = [](const void* p) { return reinterpret_cast<std::uintptr_t>(p); };
  for (const auto& each : t.allocations) {
    bool is_it =
        address(t.object) - address(each.at) < std::max<std::size_t>(each.size, 1);
    if (v.kind == failure::leak ? !each.is_live : v.kind != failure::memory || !is_it) {
      continue;
    }
    s.blocks.push_back({each.size, each.by, each.freed_by, each.is_live,
                        names.calls(each.made), names.calls(each.freed)});
  }
}

}  // namespace

story tell(const trace& t, const verdict& v) {
  story s;
  symbols names;
  for (const auto& each : t.steps) names.want(each.stack);
  for (const auto& each : t.threads) names.want(each.stack);
  for (const auto& each : t.allocations) {
    names.want(each.made);
    names.want(each.freed);
  }
  names.want(t.failed_at);
  s.has_symbols = names.look_up();

  cast objects;
  std::vector<expression> expressions;
  for (const auto& each : t.steps) {
    event e{.what = &each, .at = place_of(each, names.calls(each.stack))};
    auto x = expression_of(each.kind, e.at.path, e.at.line);
    e.object = objects.number(each.object, x.object);
    e.is_told =
        !is_plain(each.kind) || (v.kind == failure::race && each.object == t.object);
    s.events.push_back(std::move(e));
    expressions.push_back(std::move(x));
  }
  s.threads.resize(std::max<std::size_t>(t.threads.size(), 1));
  s.thread_starts.resize(s.threads.size());
  s.threads[0] = "the model's body";
  for (std::size_t i = 0; i < s.events.size(); ++i) {
    event& e = s.events[i];
    e.name = objects.name(e.object, expressions[i].object);
    e.text = words_for(e, expressions[i]);
    if (e.what->kind != step_kind::spawn || e.what->after >= s.threads.size()) continue;
    s.threads[e.what->after] = source_line(e.at.path, e.at.line);
    s.thread_starts[e.what->after] = e.at;
  }
  mark_race(s, t);
  for (agent i = 0; i < t.threads.size(); ++i) {
    const auto& each = t.threads[i];
    if (each.has_ended) continue;
    auto what = each.waits_for.empty() ? std::string("can go on") : each.waits_for;
    auto number = objects.number(each.object, "");
    if (!each.waits_for.empty() && number != 0) {
      what += fmt::format(" ({})", objects.name(number, ""));
    }
    s.waits.push_back({i, what, names.calls(each.stack)});
  }
  tell_of_heap(s, t, v, names);
  s.failed_by = t.failed_by;
  s.failed_at = names.calls(t.failed_at);
  return s;
}

std::string first_difference(const trace& a, const trace& b) {
  auto key = [](const step& s) {
    return std::tuple(s.kind, s.by, s.before, s.after, s.succeeded);
  };
  auto [one, two] = std::ranges::mismatch(a.steps, b.steps, {}, key, key);
  if (one == a.steps.end() && two == b.steps.end()) return "";
  trace parts;
  auto add = [&](auto at, const trace& from) {
    if (at != from.steps.end()) parts.steps.push_back(*at);
  };
  add(one, a);
  bool has_first = !parts.steps.empty();
  add(two, b);
  auto told = tell(parts, {});
  auto describe = [&](bool is_there, std::size_t i) {
    if (!is_there) return std::string("nothing");
    const event& e = told.events[i];
    return fmt::format("{}: {} ({}:{})", letter(e.what->by), e.text, e.at.file(),
                       e.at.line);
  };
  return fmt::format("step {} is first {}, then {}", one - a.steps.begin() + 1,
                     describe(has_first, 0), describe(two != b.steps.end(), has_first));
}

}  // namespace duel::explore
