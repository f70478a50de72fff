// intrusive_list.hpp - a doubly linked list through its elements: O(1) insert and remove,
// no allocation. An element is in at most one list per hook. Not thread-safe.
#pragma once

namespace duel {

struct list_hook {
  list_hook* prev = nullptr;
  list_hook* next = nullptr;
  [[nodiscard]] bool is_linked() const noexcept { return next != nullptr; }

  void unlink() noexcept {
    prev->next = next;
    next->prev = prev;
    prev = next = nullptr;
  }
};

// T derives from list_hook. The list must outlive its elements' membership.
template <class T>
class intrusive_list {
 public:
  intrusive_list() noexcept { head_.prev = head_.next = &head_; }
  intrusive_list(const intrusive_list&) = delete;
  intrusive_list& operator=(const intrusive_list&) = delete;

  [[nodiscard]] bool empty() const noexcept { return head_.next == &head_; }

  void push_back(T& element) noexcept {
    list_hook& hook = element;
    hook.prev = head_.prev;
    hook.next = &head_;
    head_.prev->next = &hook;
    head_.prev = &hook;
  }

  [[nodiscard]] T* pop_front() noexcept {
    if (empty()) return nullptr;
    list_hook* first = head_.next;
    first->unlink();
    return static_cast<T*>(first);
  }

  // `visit` may not unlink elements.
  template <class Visit>
  void for_each(Visit visit) {
    for (list_hook* at = head_.next; at != &head_; at = at->next)
      visit(static_cast<T&>(*at));
  }

  // Moves everything from `other` to the back of this list.
  void splice_back(intrusive_list& other) noexcept {
    if (other.empty()) return;
    list_hook *first = other.head_.next, *last = other.head_.prev;
    other.head_.prev = other.head_.next = &other.head_;
    first->prev = head_.prev;
    head_.prev->next = first;
    last->next = &head_;
    head_.prev = last;
  }

 private:
  list_hook head_;
};

}  // namespace duel
