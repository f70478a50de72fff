// duel_server.cpp - the composition root: flags to a model, the model runs the server.
//
// The one file of servers/ that knows models, signals and descriptors. Exit codes: 0
// drained, 1 could not run or something was left over, 2 wrong usage.
#include <fmt/format.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "runtimes/api/net/listener.hpp"
#include "runtimes/api/signal.hpp"
#include "runtimes/models.hpp"
#include "servers/handlers/routes.hpp"
#include "servers/handlers/stats_json.hpp"
#include "servers/server_options.hpp"
#include "servers/stats_file.hpp"

namespace duel {

namespace {

constexpr int exit_failure = 1;
constexpr int exit_usage = 2;

struct leftovers {
  std::size_t tasks = 0, stacks = 0;
  std::ptrdiff_t descriptors = 0;  // open now less those open at start
  [[nodiscard]] bool is_clean() const noexcept {
    return tasks == 0 && stacks == 0 && descriptors == 0;
  }
};

std::ptrdiff_t open_descriptors() {
  return std::ranges::distance(std::filesystem::directory_iterator("/proc/self/fd"));
}

std::string listen_error(const std::string& where, std::error_code error) {
  if (error == std::errc::address_in_use) {
    return fmt::format(
        "address {} is in use (choose another with --listen, or stop the "
        "process that holds it)",
        where);
  }
  bool is_lack =
      error == std::errc::not_enough_memory || error == std::errc::no_buffer_space ||
      error == std::errc::no_space_on_device || error == std::errc::too_many_files_open ||
      error == std::errc::too_many_files_open_in_system;
  return fmt::format("cannot listen on {}: {} ({})", where, error.message(),
                     is_lack
                         ? "free memory, raise ulimit -n or ulimit -v, or lower --workers"
                         : "choose another address with --listen");
}

void announce(const net::endpoint& where, const scheduler& model,
              const handlers::service& service) {
  auto line = fmt::format("listening on {} {} {}\n", where.text(), model.description(),
                          service.settings());
  if (std::fputs(line.c_str(), stdout) < 0 || std::fflush(stdout) != 0) {
    complain(
        fmt::format("cannot write the ready line: {} (serving all the same; free "
                    "space where the output goes)",
                    std::strerror(errno)));
  }
}

// Serves until a signal has drained everything. Throws std::system_error when the model
// cannot start.
result<void> serve_until_stopped(scheduler& model, const server_options& o,
                                 handlers::service& service,
                                 std::atomic<std::size_t>& cut) {
  stop_on_signal stopper(model, o.drain);
  // As many again may wait to hear that there is no place; more are closed at once.
  http::admission places(o.max_connections), turned_away(o.max_connections);
  // Until the first task runs: without a stack it never does.
  result<void> served = failure(std::errc::not_enough_memory);
  model.run([&] {
    served = net::serve(
        {.where = o.where, .queued_bytes = o.max_queued_bytes},
        [&](net::stream peer) {
          handlers::service::open_scope open(service);
          http::admission::place here(places);
          if (!here) {
            http::admission::place aside(turned_away);
            return http::turn_away(std::move(peer), o.http, bool(aside));
          }
          if (http::serve_connection(std::move(peer), o.http) ==
              http::connection_end::cut)
            ++cut;
        },
        [&](net::endpoint bound) { announce(bound, model, service); });
  });
  return served;
}

int run_server(const server_options& o) {
  auto stats = stats_file::open(o.stats_file);
  if (!stats) return complain(stats.error()), exit_failure;
  auto descriptors_at_start = open_descriptors();

  if (o.state == "sharded" && o.model != "sharded") {
    complain(
        fmt::format("--state=sharded does not apply to model {} (it needs --model "
                    "sharded; drop it for one shared map)",
                    o.model));
    return exit_usage;
  }
  model_options wanted{.model = o.model, .driver = o.driver};
  wanted.switches = o.switches;
  if (o.workers > 0) wanted.workers = o.workers;
  auto model = make_model(wanted);
  if (!model) return complain(model.error()), exit_usage;
  auto kv = o.state == "sharded"
                ? handlers::store::sharded(o.max_kv_bytes, (*model)->homes())
                : handlers::store::shared(o.max_kv_bytes);
  handlers::service service(kv, "state=" + o.state);
  std::atomic<std::size_t> cut{0};
  if (auto served = serve_until_stopped(**model, o, service, cut); !served) {
    return complain(listen_error(o.listen, served.error())), exit_failure;
  }

  auto told =
      handlers::report::of((*model)->all_counters(), (*model)->description(), service);
  auto requests = told.total(counter::requests);
  auto connections = told.total(counter::served);
  auto json = handlers::stats_json(told);
  leftovers live{(*model)->live_tasks(), (*model)->stacks_in_use()};
  model->reset();
  live.descriptors = open_descriptors() - descriptors_at_start;
  json["live"] = {
      {"tasks", live.tasks}, {"stacks", live.stacks}, {"descriptors", live.descriptors}};

  say(fmt::format("drained: {} requests on {} connections served, {} cut", requests,
                  connections, cut.load()));
  if (auto written = stats->write(json.dump(2) + "\n"); !written) {
    return complain(written.error()), exit_failure;
  }
  if (!live.is_clean()) {
    complain(
        fmt::format("left over at exit: {} tasks, {} stacks, {} descriptors (a defect; "
                    "please report it)",
                    live.tasks, live.stacks, live.descriptors));
    return exit_failure;
  }
  return 0;
}

}  // namespace

}  // namespace duel

int main(int argc, char** argv) {
  auto options = duel::parse_command_line(argc, argv);
  if (!options) return options.error();
  options->http.routes = duel::handlers::all_routes();
  try {
    return duel::run_server(*options);
  } catch (const std::exception& e) {
    duel::complain(fmt::format("cannot run: {}", e.what()));
    return duel::exit_failure;
  }
}
