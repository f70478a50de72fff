// trace_json.hpp - explorations and executions as JSON, for programs that show them.
//
// {"program": "duel-explore", "statement": what verdicts mean,
//  "results": [{
//    "model", "claim", "memory": interleaving, tso or weak,
//    "verdict": "holds" or the kind of failure, "message", "replay", "flags": to
//    reproduce, "executions", "steps", "seconds", "bound": the last one finished, or
//    null; "asked_bound"; "complete": no bound adds any "trace": only of a failure, a
//    replay or with --trace: {
//      "threads": [{"name": "A", "what", "file", "line",
//                   "waits_for", "calls"}],        the last two unless it has ended
//      "steps": [{
//        "step": from 1, "thread": index, "kind": of trace.hpp's step_kind,
//        "text": in the words of the source, "file", "line", "function",
//        "object": number, "name": of the object, "before", "after": values,
//        "order": memory order of an atomic access,
//        "succeeded", "stale", "spurious", "buffered", "preempts", "racing": booleans,
//        left out at their usual value}],
//      "allocations": [{"size", "by", "made": calls, "freed_by", "freed": calls}],
//      "failed_by": thread, "failed_at": calls}}]}
//
// Calls are [{"function", "file", "line"}], innermost first. Files are relative to the
// repository. Values are unsigned words as the atomic stores them.
#pragma once

#include <nlohmann/json.hpp>

#include "runtimes/explore/story.hpp"

namespace duel::explore {

[[nodiscard]] nlohmann::ordered_json to_json(const model& m, const verdict& v,
                                             const std::string& flags);
[[nodiscard]] nlohmann::ordered_json to_json(const story& s);

}  // namespace duel::explore
