// test_fuzzing.hpp - for the fuzz targets: an input's first bytes say how the stream is
// split and limited, the rest is the stream; whole and in pieces it must say the same.
#pragma once

#include <array>
#include <cstdio>
#include <cstdlib>

#include "servers/http/test_reading.hpp"

namespace duel::http {

inline void expect_same(const reading& whole, const reading& split, const char* how) {
  if (whole == split) return;
  std::fprintf(stderr, "the split decides (%s):\nwhole: %s %.*s\nsplit: %s %.*s\n", how,
               whole.said.c_str(), static_cast<int>(whole.why.size()), whole.why.data(),
               split.said.c_str(), static_cast<int>(split.why.size()), split.why.data());
  std::abort();
}

// Byte 0: limits; bytes 1 to 3: sizes of pieces, in turn. `before` comes before the rest.
inline void fuzz_reading(std::string_view input, std::string before) {
  constexpr std::size_t settings = 4;
  if (input.size() < settings) return;
  auto setting = [&](std::size_t i) { return static_cast<unsigned char>(input[i]); };
  limits most;
  if (setting(0) & 1) most.head_bytes = before.size() + (setting(0) >> 1);
  if (setting(0) & 2) most.body_bytes = setting(0) >> 2;
  std::string bytes = std::move(before.append(input.substr(settings)));
  auto whole = read_in_pieces(bytes, most, [&] { return bytes.size(); });
  std::size_t turn = 0;
  auto split = read_in_pieces(bytes, most, [&] { return 1 + setting(1 + turn++ % 3); });
  expect_same(whole, split, "as the input says");
  expect_same(whole, read_in_pieces(bytes, most, [] { return std::size_t{1}; }),
              "single bytes");
}

}  // namespace duel::http
