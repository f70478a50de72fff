// corners.hpp - the making of each model x driver: what its switches mean to its parts.
//
// Private to models.cpp, which lists them.
#pragma once

#include "runtimes/models.hpp"
#include "runtimes/switches.hpp"

namespace duel {

using made_model = std::expected<std::unique_ptr<scheduler>, std::string>;

made_model make_stealing_epoll(const model_options& options, switches chosen);
made_model make_stealing_uring(const model_options& options, switches chosen);
made_model make_sharded_uring(const model_options& options, switches chosen);
made_model make_sharded_epoll(const model_options& options, switches chosen);

}  // namespace duel
