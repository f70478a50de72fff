// story.hpp - an execution's steps in the words of the source: what report.hpp prints and
// trace_json.hpp writes.
#pragma once

#include <string>
#include <vector>

#include "runtimes/explore/explorer.hpp"
#include "runtimes/explore/symbols.hpp"

namespace duel::explore {

struct event {
  const step* what;
  frame at;             // the line of the kit or the model
  unsigned object = 0;  // from 1; 0: none
  std::string name;     // of the object, as the line calls it
  std::string text;     // "idle_.fetch_add 0 -> 1 (acquire)"
  bool is_told = true;  // false: plain data that the failure is not about
  bool is_racing = false;
};

struct story {
  std::vector<event> events;
  std::vector<std::string> threads;  // what each is
  std::vector<frame> thread_starts;
  // What an unended thread waits for, and its calls, innermost first.
  struct wait {
    agent thread;
    std::string what;
    std::vector<frame> calls;
  };
  std::vector<wait> waits;
  // What the failure says of the heap: allocations left, or the one that was misused.
  struct block {
    std::size_t size;
    agent by, freed_by;
    bool is_live;
    std::vector<frame> made, freed;
  };
  std::vector<block> blocks;
  agent failed_by = 0;
  std::vector<frame> failed_at;  // empty: not within a thread
  bool has_symbols = true;
};

[[nodiscard]] story tell(const trace& t, const verdict& v);

// Where two traces part: "step 7 is ..., then ...". Empty: nowhere.
[[nodiscard]] std::string first_difference(const trace& a, const trace& b);

[[nodiscard]] inline char letter(agent t) {
  return static_cast<char>('A' + t);
}

}  // namespace duel::explore
