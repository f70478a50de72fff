// listener.hpp - listening sockets, and serve(): a task for every connection.
#pragma once

#include <functional>

#include "runtimes/api/net/endpoint.hpp"
#include "runtimes/api/net/stream.hpp"

namespace duel::net {

class listener {
 public:
  // Takes over a listening descriptor.
  [[nodiscard]] static result<listener> adopt(int fd);
  listener(listener&&) noexcept = default;
  listener& operator=(listener&&) = delete;
  ~listener();

  // Errors: operation_canceled; what accept(2) says, after which accepting may go on.
  [[nodiscard]] result<stream> accept();
  // The same, for a stream that another home adopts.
  [[nodiscard]] result<int> accept_descriptor();

 private:
  explicit listener(std::unique_ptr<socket> s) noexcept : socket_(std::move(s)) {}
  std::unique_ptr<socket> socket_;
};

struct listen_options {
  endpoint where;
  // Unsent bytes that the kernel takes from a connection before its sends wait
  // (TCP_NOTSENT_LOWAT); 0: the kernel's limit, which may be megabytes.
  std::size_t queued_bytes = 0;
};

// Accepts at `how.where` and runs on_connection(stream) in a task of its own for each
// connection. In every home of the model, through sockets that share the port
// (SO_REUSEPORT) where there are several; or here alone, and each connection moves to the
// home that the model chooses (scheduler::places_connections). Calls ready(endpoint) once
// connections can come. Returns when the task is cancelled, or at once if nobody can
// listen there. If some homes can and others cannot, those that can are drained with the
// whole scheduler.
result<void> serve(listen_options how, std::function<void(stream)> on_connection,
                   std::function<void(endpoint)> ready);

}  // namespace duel::net
