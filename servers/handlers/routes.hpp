// routes.hpp - everything the server answers: one plain function a path. Read routes.cpp.
#pragma once

#include "servers/http/router.hpp"

namespace duel::handlers {

[[nodiscard]] std::span<const http::route> all_routes() noexcept;

}  // namespace duel::handlers
