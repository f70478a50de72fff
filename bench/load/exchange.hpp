// exchange.hpp - what is asked, and what must be answered: the text of request `index` of
// a connection, and the body that its answer must have.
//
// With --unique-ids a request differs from every other: POST /echo has its id as the
// body, /bytes?n= a length of its own, anything else ?id= in the query. Immutable once
// the first answer has been learnt, before any worker starts; then from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "bench/load/options.hpp"

namespace duel::load {

class exchange {
 public:
  // The connection that asks first, alone.
  static constexpr std::uint64_t scout = ~std::uint64_t{0};

  explicit exchange(const options& o);

  // Must the first answer be learnt?
  [[nodiscard]] bool is_curious() const { return rule_ == rule::unknown; }
  // An answer that holds the request's id becomes a pattern for all the others, one of
  // the length asked for is what the others are the beginning of.
  void learn(std::string body);
  void give_up() { rule_ = rule::any; }

  [[nodiscard]] bool checks_bodies() const { return rule_ != rule::any; }
  // Does the body expected hold the id, or have the length, of its request?
  [[nodiscard]] bool checks_ids() const;
  // True: all requests are the same text.
  [[nodiscard]] bool is_constant() const { return !o_.service && !o_.unique_ids; }
  void write(std::string& out, std::uint64_t connection, std::uint64_t index) const;
  // Valid until `scratch` changes.
  [[nodiscard]] std::string_view expected(std::string& scratch, std::uint64_t connection,
                                          std::uint64_t index) const;

 private:
  enum class rule { unknown, any, same, pattern, prefix };
  static constexpr std::uint64_t most_bytes = 4096;

  [[nodiscard]] bool posts() const { return o_.unique_ids && o_.path == "/echo"; }
  [[nodiscard]] bool sizes() const { return o_.unique_ids && o_.path == "/bytes"; }
  [[nodiscard]] std::string id(std::uint64_t connection, std::uint64_t index) const;
  [[nodiscard]] std::uint64_t size(std::uint64_t connection, std::uint64_t index) const;

  const options& o_;
  rule rule_ = rule::unknown;
  std::string body_, tail_;  // expected; of the request's head
};

}  // namespace duel::load
