#include "servers/http/output.hpp"

#include <algorithm>
#include <cstring>

#include "runtimes/api/time.hpp"

namespace duel::http {

namespace {
constexpr std::size_t worth_copying = 4096;
constexpr std::size_t direct_block = 64 * 1024;
}  // namespace

char* output::reserve(std::size_t size) {
  if (!ok_) return nullptr;
  if (used_ > 0 && room() < size) {
    look_at_clock();  // as in send()
    if (!flush()) return nullptr;
    look_at_clock();
  }
  if (block_.empty()) block_ = to_.lease_buffer();
  return data() + used_;
}

bool output::write(std::string_view bytes) {
  if (bytes.size() <= worth_copying || bytes.size() <= room()) {
    char* at = reserve(bytes.size());
    if (!at) return false;
    std::memcpy(at, bytes.data(), bytes.size());
    commit(at + bytes.size());
    return true;
  }
  if (!flush()) return false;
  while (!bytes.empty()) {
    std::string_view block = bytes.substr(0, direct_block);
    if (!send(std::as_bytes(std::span(block)))) return false;
    bytes.remove_prefix(block.size());
  }
  return true;
}

bool output::flush() {
  if (used_ > 0 && ok_) {
    block_.trim(used_);
    ++sends_;
    ok_ = to_.send(std::move(block_), now_ + patience_).has_value();
  }
  used_ = 0;
  block_.reset();
  return ok_;
}

bool output::send(std::span<const std::byte> bytes) {
  look_at_clock();  // the block before may have waited
  ++sends_;
  if (!to_.send(bytes, now_ + patience_)) ok_ = false;
  return ok_;
}

}  // namespace duel::http
