// store.hpp - the keys and values behind /kv: one map for all, or a map at each home.
//
// The two differ in who may touch a part (partitioned.hpp) and in nothing else, so that a
// comparison shows the price of a lock against that of a hop. Values are immutable and
// shared: an answer on its way keeps the value it reads while another request replaces
// it. Used by tasks of one scheduler; its size is exact.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "runtimes/api/sync/partitioned.hpp"

namespace duel::handlers {

class store {
 public:
  using value = std::shared_ptr<const std::string>;
  enum class put_end { created, replaced, full };
  // What an entry costs beside its key and its bytes, about.
  static constexpr std::size_t entry_bytes = 192;

  // One map, in parts behind locks. More than `max_bytes` are never kept.
  [[nodiscard]] static store shared(std::size_t max_bytes);
  // A key belongs to one of the scheduler's homes.
  [[nodiscard]] static store sharded(std::size_t max_bytes, unsigned homes);

  [[nodiscard]] value get(std::string_view key);  // null: no such key
  // `full`: nothing has changed.
  [[nodiscard]] put_end put(std::string_view key, std::string_view bytes);
  bool erase(std::string_view key);  // false: no such key

  [[nodiscard]] std::size_t used_bytes() const noexcept { return used_; }

 private:
  struct hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const noexcept {
      return std::hash<std::string_view>()(key);
    }
  };
  using map = std::unordered_map<std::string, value, hash, std::equal_to<>>;

  store(partitioned<map> parts, std::size_t max_bytes)
      : parts_(std::move(parts)), max_(max_bytes) {}

  [[nodiscard]] bool grow(std::size_t bytes) noexcept;

  partitioned<map> parts_;
  const std::size_t max_;
  std::atomic<std::size_t> used_{0};  // one for all: a value may fill the whole store
};

}  // namespace duel::handlers
