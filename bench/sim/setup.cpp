#include "bench/sim/setup.hpp"

#include <array>
#include <utility>

namespace duel::sim {

namespace {

using namespace std::string_view_literals;

constexpr std::array policies{std::pair{policy_kind::central, "central"sv},
                              std::pair{policy_kind::partitioned, "partitioned"sv},
                              std::pair{policy_kind::jsq_accept, "jsq-accept"sv},
                              std::pair{policy_kind::jsq_request, "jsq-request"sv},
                              std::pair{policy_kind::stealing, "stealing"sv},
                              std::pair{policy_kind::stealing_one, "stealing-one"sv},
                              std::pair{policy_kind::sharing, "ps"sv},
                              std::pair{policy_kind::shard_sharing, "ps-shard"sv},
                              std::pair{policy_kind::reserved, "reserved"sv}};

constexpr std::array placements{
    std::pair{placement::home, "home"sv}, std::pair{placement::random, "random"sv},
    std::pair{placement::shortest, "shortest"sv},
    std::pair{placement::reactor, "reactor"sv}, std::pair{placement::poller, "poller"sv}};

std::string_view find_name(const auto& table, auto value) {
  for (const auto& [each, name] : table) {
    if (each == value) return name;
  }
  return {};
}

template <typename Value>
std::optional<Value> find_value(const auto& table, std::string_view wanted) {
  for (const auto& [each, name] : table) {
    if (name == wanted) return each;
  }
  return {};
}

}  // namespace

std::string_view name_of(policy_kind policy) {
  return find_name(policies, policy);
}
std::string_view name_of(placement where) {
  return find_name(placements, where);
}
std::optional<policy_kind> policy_named(std::string_view name) {
  return find_value<policy_kind>(policies, name);
}
std::optional<placement> placement_named(std::string_view name) {
  return find_value<placement>(placements, name);
}

}  // namespace duel::sim
