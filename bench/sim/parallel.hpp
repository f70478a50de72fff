// parallel.hpp - the same work for each index on several threads, with time left on
// stderr.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

namespace duel::sim {

// Calls `work` once for each index below `count`, in any order. An exception ends it and
// comes out here. `what` begins the progress line; empty: none.
void for_each_index(std::size_t count, unsigned threads, const std::string& what,
                    const std::function<void(std::size_t)>& work);

}  // namespace duel::sim
