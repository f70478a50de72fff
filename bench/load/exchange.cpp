#include "bench/load/exchange.hpp"

#include <fmt/format.h>

#include <iterator>

#include "bench/load/random.hpp"

namespace duel::load {

exchange::exchange(const options& o) : o_(o) {
  tail_ = fmt::format(" HTTP/1.1\r\nHost: {}\r\n", o.host);
  for (auto& header : o.headers) tail_ += header + "\r\n";
  if (o.any_body) {
    rule_ = rule::any;
  } else if (o.expect_body) {
    rule_ = rule::pattern;
    body_ = *o.expect_body;
    bool is_fixed = body_.find("{us}") == std::string::npos &&
                    body_.find("{id}") == std::string::npos;
    if (is_fixed || is_constant()) rule_ = rule::same;
  } else if (posts()) {
    rule_ = rule::pattern, body_ = "{id}";
  } else if (o.service) {
    rule_ = rule::pattern, body_ = "worked {us} us\n";
  }
}

void exchange::learn(std::string body) {
  rule_ = sizes() && body.size() == most_bytes ? rule::prefix : rule::same;
  body_ = std::move(body);
  if (!o_.unique_ids) return;
  auto first = id(scout, 0);
  for (std::size_t at; (at = body_.find(first)) != std::string::npos;) {
    body_.replace(at, first.size(), "{id}");
    rule_ = rule::pattern;
  }
}

bool exchange::checks_ids() const {
  if (rule_ == rule::prefix) return true;
  return o_.unique_ids && rule_ == rule::pattern &&
         body_.find("{id}") != std::string::npos;
}

std::string exchange::id(std::uint64_t connection, std::uint64_t index) const {
  return fmt::format("{:016x}", draw(o_.seed(), purpose::id, connection, index));
}

std::uint64_t exchange::size(std::uint64_t connection, std::uint64_t index) const {
  if (connection == scout) return most_bytes;
  return draw(o_.seed(), purpose::size, connection, index) % most_bytes + 1;
}

void exchange::write(std::string& out, std::uint64_t connection,
                     std::uint64_t index) const {
  auto to = std::back_inserter(out);
  out += posts() ? "POST " : "GET ";
  out += o_.path;
  char mark = '?';
  auto add = [&](std::string_view name, const auto& value) {
    fmt::format_to(to, "{}{}{}", mark, name, value);
    mark = '&';
  };
  if (!o_.query.empty()) add("", o_.query);
  if (o_.service) add("us=", o_.service->us(o_.seed(), connection, index));
  if (sizes()) add("n=", size(connection, index));
  if (o_.unique_ids && !posts() && !sizes()) add("id=", id(connection, index));
  out += tail_;
  if (posts()) {
    auto body = id(connection, index);
    fmt::format_to(to, "Content-Length: {}\r\n\r\n{}", body.size(), body);
  } else {
    out += "\r\n";
  }
}

std::string_view exchange::expected(std::string& scratch, std::uint64_t connection,
                                    std::uint64_t index) const {
  if (rule_ == rule::prefix) {
    return std::string_view(body_).substr(0, size(connection, index));
  }
  if (rule_ != rule::pattern) return body_;
  scratch.clear();
  std::string_view rest = body_;
  for (std::size_t at; (at = rest.find('{')) != std::string_view::npos;) {
    scratch += rest.substr(0, at);
    rest.remove_prefix(at);
    if (o_.unique_ids && rest.starts_with("{id}")) {
      scratch += id(connection, index);
      rest.remove_prefix(4);
    } else if (o_.service && rest.starts_with("{us}")) {
      fmt::format_to(std::back_inserter(scratch), "{}",
                     o_.service->us(o_.seed(), connection, index));
      rest.remove_prefix(4);
    } else {
      scratch += '{';
      rest.remove_prefix(1);
    }
  }
  return scratch += rest;
}

}  // namespace duel::load
