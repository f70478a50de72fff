// output.hpp - what a connection has to say, gathered in a leased buffer and sent in one
// go.
//
// Belongs to one connection's task. Holds a lease only while it holds bytes. After an
// error (the peer is gone or does not read) everything is dropped and is_ok() says false.
#pragma once

#include <string_view>

#include "runtimes/api/net/stream.hpp"

namespace duel::http {

class output {
 public:
  // Each block of at most 64 KiB has to leave within `patience`.
  output(net::stream& to, duration patience) noexcept : to_(to), patience_(patience) {}

  // The time that dates and deadlines go by. A look costs as much as parsing a header, so
  // it is taken when bytes have come, and again after whatever may have taken long.
  void look_at_clock() noexcept { now_ = coarse_now(); }
  [[nodiscard]] time_point now() const noexcept { return now_; }

  // Room for `size` bytes (at most 4 KiB) to write at the returned place, then commit().
  // Null after an error. May wait for the peer; nothing else here and commit() never
  // does.
  [[nodiscard]] char* reserve(std::size_t size);
  void commit(const char* end) noexcept {
    used_ = static_cast<std::size_t>(end - data());
  }

  // Copies what fits; more goes to the kernel from where it is.
  bool write(std::string_view bytes);
  // Sends what is gathered and gives the buffer back.
  bool flush();
  [[nodiscard]] bool is_ok() const noexcept { return ok_; }
  // How often it has sent: more than once for one answer may have waited for the peer.
  [[nodiscard]] unsigned sends() const noexcept { return sends_; }

 private:
  [[nodiscard]] char* data() const noexcept {
    return reinterpret_cast<char*>(block_.bytes().data());
  }
  [[nodiscard]] std::size_t room() const noexcept {
    return block_.bytes().size() - used_;
  }
  bool send(std::span<const std::byte> bytes);

  net::stream& to_;
  const duration patience_;
  buffer_lease block_;
  std::size_t used_ = 0;
  unsigned sends_ = 0;
  time_point now_ = coarse_now();
  bool ok_ = true;
};

}  // namespace duel::http
