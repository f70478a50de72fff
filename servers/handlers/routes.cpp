// routes.cpp - the handlers. They run unchanged under every model, each in its
// connection's task: what waits here holds up one connection, what blocks holds up its OS
// thread.
#include "servers/handlers/routes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "runtimes/api/time.hpp"
#include "servers/handlers/kv.hpp"
#include "servers/handlers/metrics_text.hpp"
#include "servers/handlers/query.hpp"
#include "servers/handlers/stats_json.hpp"

namespace duel::handlers {

namespace {

using http::request;
using http::responder;
using http::text_plain;

constexpr std::string_view octets = "application/octet-stream";
constexpr std::uint64_t longest_work_us = 10'000'000;
constexpr std::uint64_t longest_wait_ms = 60'000;
constexpr std::uint64_t most_bytes = 1024 * 1024 * 1024;

// 64 printable characters over and over.
constexpr auto pattern = [] {
  constexpr std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::array<char, 64 * 1024> block{};
  for (std::size_t i = 0; i < block.size(); ++i) block[i] = alphabet[i % alphabet.size()];
  return block;
}();

void hello(const request&, responder& reply) {
  reply.send(200, text_plain, "Hello, World!");
}

void echo(const request& asked, responder& reply) {
  reply.send(200, octets, asked.body);
}

void work(const request& asked, responder& reply) {
  auto us = query_number(asked.query, "us", longest_work_us);
  if (!us) return reply.send(400, text_plain, us.error());
  burn_for(std::chrono::microseconds(*us));
  reply.send(200, text_plain, fmt::format("worked {} us\n", *us));
}

void sleep(const request& asked, responder& reply) {
  auto ms = query_number(asked.query, "ms", longest_wait_ms);
  if (!ms) return reply.send(400, text_plain, ms.error());
  if (!sleep_for(std::chrono::milliseconds(*ms))) return;  // cut: nobody to answer
  reply.send(200, text_plain, fmt::format("slept {} ms\n", *ms));
}

void block(const request& asked, responder& reply) {
  auto ms = query_number(asked.query, "ms", longest_wait_ms);
  if (!ms) return reply.send(400, text_plain, ms.error());
  block_for(std::chrono::milliseconds(*ms));
  reply.send(200, text_plain, fmt::format("blocked {} ms\n", *ms));
}

void bytes(const request& asked, responder& reply) {
  auto n = query_number(asked.query, "n", most_bytes);
  if (!n) return reply.send(400, text_plain, n.error());
  reply.begin({.content_type = text_plain, .content_length = *n});
  for (std::uint64_t left = *n; left > 0;) {
    auto size = std::min<std::uint64_t>(left, pattern.size());
    if (!reply.write({pattern.data(), size})) return;
    left -= size;
  }
}

report report_now() {
  return report::of(all_counters(), description(), service::current());
}

void stats(const request&, responder& reply) {
  reply.send(200, "application/json", stats_json(report_now()).dump() + "\n");
}

void metrics(const request&, responder& reply) {
  reply.send(200, metrics_type, metrics_text(report_now()));
}

using http::methods;
constexpr http::route table[] = {
    {"/", methods::get_and_head, false, &hello},
    {"/echo", methods::post, false, &echo},
    {"/work", methods::get_and_head, true, &work},
    {"/sleep", methods::get_and_head, true, &sleep},
    {"/block", methods::get_and_head, true, &block},
    {"/bytes", methods::get_and_head, false, &bytes},
    {kv_path, methods::all_of_a_value, false, &kv},
    {"/stats", methods::get_and_head, false, &stats},
    {"/metrics", methods::get_and_head, false, &metrics},
};

}  // namespace

std::span<const http::route> all_routes() noexcept {
  return table;
}

}  // namespace duel::handlers
