// symbols.hpp - return addresses as functions and lines, and what stands on a line.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "runtimes/explore/trace.hpp"

namespace duel::explore {

struct frame {
  std::string function;  // without parameters and template arguments
  std::string path;
  unsigned line = 0;

  // The path from the root of the sources; empty: not a file of the kit.
  [[nodiscard]] std::string file() const;
  // False for the explorer's own functions and the standard library's.
  [[nodiscard]] bool is_of_interest() const;
};

// Looks addresses up with addr2line, one run of it for all.
class symbols {
 public:
  void want(const call_stack& stack);
  // False: there is no addr2line.
  [[nodiscard]] bool look_up();
  // The calls of interest, innermost first; inlined ones are calls, too.
  [[nodiscard]] std::vector<frame> calls(const call_stack& stack) const;

 private:
  std::set<void*> wanted_;
  std::map<void*, std::vector<frame>> found_;
};

// The text of a line without the space around it.
[[nodiscard]] std::string source_line(const std::string& path, unsigned line);

// The line where the statement begins whose brackets close on this one.
[[nodiscard]] unsigned statement_start(const std::string& path, unsigned line);

// What a line of source uses: "idle_" and "fetch_add" of `if (idle_.fetch_add(1) == 0)`.
struct expression {
  std::string object, operation;
};
[[nodiscard]] expression expression_of(step_kind kind, const std::string& path,
                                       unsigned line);

}  // namespace duel::explore
