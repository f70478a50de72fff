#include "servers/handlers/store.hpp"

namespace duel::handlers {

namespace {
constexpr std::size_t stripes = 64;
}

store store::shared(std::size_t max_bytes) {
  return {partitioned<map>::behind_locks(stripes), max_bytes};
}

store store::sharded(std::size_t max_bytes, unsigned homes) {
  return {partitioned<map>::at_homes(homes), max_bytes};
}

store::value store::get(std::string_view key) {
  return parts_.with(hash()(key), [&](const map& part) -> value {
    auto found = part.find(key);
    return found == part.end() ? nullptr : found->second;
  });
}

// Copies before, and frees after, it has the part to itself.
store::put_end store::put(std::string_view key, std::string_view bytes) {
  std::string name(key);
  auto kept = std::make_shared<const std::string>(bytes);
  return parts_.with(hash()(key), [&](map& part) {
    auto [at, is_new] = part.try_emplace(std::move(name));
    auto before = is_new ? 0 : at->second->size();
    auto after = kept->size() + (is_new ? key.size() + entry_bytes : 0);
    if (after > before && !grow(after - before)) {
      if (is_new) part.erase(at);
      return put_end::full;
    }
    if (after < before) used_ -= before - after;
    at->second.swap(kept);
    return is_new ? put_end::created : put_end::replaced;
  });
}

bool store::erase(std::string_view key) {
  auto removed = parts_.with(hash()(key), [&](map& part) {
    auto found = part.find(key);
    return found == part.end() ? map::node_type() : part.extract(found);
  });
  if (!removed) return false;
  used_ -= key.size() + removed.mapped()->size() + entry_bytes;
  return true;
}

bool store::grow(std::size_t bytes) noexcept {
  auto used = used_.load();
  do {
    if (bytes > max_ - used) return false;
  } while (!used_.compare_exchange_weak(used, used + bytes));
  return true;
}

}  // namespace duel::handlers
