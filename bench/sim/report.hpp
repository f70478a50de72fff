// report.hpp - results as aligned text on stdout and as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/sim/crossover.hpp"
#include "bench/sim/sweep.hpp"

namespace duel::sim {

using json = nlohmann::ordered_json;

// Counts up when a reader of older files would misread a newer one.
inline constexpr int schema_version = 1;

void print_sweep(const std::vector<point>& points, unsigned replications);
json sweep_json(const std::vector<point>& points, unsigned replications);

void print_crossover(const crossover_question& q,
                     const std::vector<crossover_curve>& curves);
json crossover_json(const crossover_question& q,
                    const std::vector<crossover_curve>& curves);

// The closed forms of M/M/k, what a limit on p99 leaves, and hashing luck.
void print_tables();
json tables_json();

// As duel-load names them.
void add_arrivals(json& out, const arrival_pattern& arrivals);

// Whole or not at all. An error message, or empty.
std::string write_json(const std::string& path, const json& value);

}  // namespace duel::sim
