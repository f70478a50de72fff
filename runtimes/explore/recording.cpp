// recording.cpp - what is taken down of an execution for people: trace.hpp.
#include <execinfo.h>

#include <algorithm>

#include "runtimes/explore/execution.hpp"

namespace duel::explore {

namespace {

// Left out of the line: whatever called this is of interest.
void take_stack(call_stack& into) noexcept {
  into.fill(nullptr);
  ::backtrace(into.data(), static_cast<int>(into.size()));
}

std::string letter(agent t) {
  return std::string(1, static_cast<char>('A' + t));
}

}  // namespace

void execution::record(step e) {
  if (!trace_) return;
  untracked_scope own;
  if (e.kind == step_kind::flush) {
    e.by = thread_of(e.by);
  } else {
    e.by = self();
    e.preempts = std::exchange(preempts_, false);
    take_stack(e.stack);
  }
  trace_->steps.push_back(std::move(e));
}

void execution::record_pending() {
  untracked_scope own;
  if (trace_->threads.size() < size_) trace_->threads.resize(size_);
  take_stack(trace_->threads[self()].stack);
}

void execution::record_failure() {
  trace_->failed_by = last_;
  if (is_inside()) take_stack(trace_->failed_at);
}

void execution::record_threads() {
  trace_->threads.resize(size_);
  for (agent i = 0; i < size_; ++i) {
    auto& to = trace_->threads[i];
    to.waits_for = need_of(threads_[i]);
    to.has_ended = threads_[i].is == thread::state::ended;
    if (threads_[i].needs != need::end_of_thread) to.object = threads_[i].object;
  }
}

void execution::record_allocation(const void* p, std::size_t size) {
  untracked_scope own;
  auto& made = trace_->allocations.emplace_back();
  made.at = p;
  made.size = size;
  made.by = self();
  take_stack(made.made);
}

void execution::record_free(const void* p) {
  untracked_scope own;
  auto freed = std::ranges::find(trace_->allocations, p, &trace::allocation::at);
  if (freed == trace_->allocations.end()) return;
  freed->is_live = false;
  freed->freed_by = self();
  take_stack(freed->freed);
}

void execution::record_object(const void* object,
                              std::optional<trace::access> races_with) {
  if (!trace_) return;
  trace_->object = object;
  trace_->races_with = races_with;
}

// --- who waits for what --------------------------------------------------------------

std::string execution::need_of(const thread& t) const {
  if (t.is == thread::state::ended) return "";
  if (t.is == thread::state::asleep) return "sleeps on a futex";
  if (t.needs == need::end_of_thread) return "waits for the end of " + letter(t.joins);
  if (t.needs != need::free_lock) return "";
  auto holder = t.object->stores[t.object->newest_number % location::history].value;
  return holder == 0 ? ""
                     : "waits for a lock that " + letter(static_cast<agent>(holder - 1)) +
                           " holds";
}

std::string execution::who_waits_for_what() const {
  untracked_scope own;
  std::string text;
  for (agent i = 0; i < size_; ++i) {
    if (threads_[i].is == thread::state::ended) continue;
    text += (text.empty() ? "nobody can go on: " : "; ") + letter(i) + ' ' +
            need_of(threads_[i]);
  }
  return text;
}

}  // namespace duel::explore
