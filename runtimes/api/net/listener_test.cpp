// Tests what the sockets of a listener inherit.
#include "runtimes/api/net/listener.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtimes/api/model_test.hpp"
#include "runtimes/api/task.hpp"

namespace duel::net {
namespace {

class listener_test : public model_test {
 protected:
  // TCP options of the server's end of a connection.
  struct inherited {
    int no_delay = -1, queued_bytes = -1;
  };
  inherited of_a_connection(std::size_t queued_bytes) {
    inherited found;
    int client = -1;
    run([&] {
      scheduler& model = current_task()->owner;
      auto served = serve(
          {.where = *endpoint::parse("127.0.0.1:0"), .queued_bytes = queued_bytes},
          [&](stream) {
            found = options_opposite(client);
            ::close(client);
            model.stop(stop_mode::drain);
          },
          [&](endpoint at) {
            client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            EXPECT_EQ(::connect(client, at.address(), at.size()), 0);
          });
      EXPECT_TRUE(served);
    });
    return found;
  }

 private:
  static inherited options_opposite(int client) {
    auto port_of = [](int fd, auto get_name) {
      sockaddr_in name{};
      socklen_t size = sizeof name;
      return get_name(fd, reinterpret_cast<sockaddr*>(&name), &size) == 0 ? name.sin_port
                                                                          : 0;
    };
    auto option = [](int fd, int which) {
      int value = -1;
      socklen_t size = sizeof value;
      ::getsockopt(fd, IPPROTO_TCP, which, &value, &size);
      return value;
    };
    for (int fd = 0; fd < 1024; ++fd) {
      if (port_of(fd, &::getpeername) != port_of(client, &::getsockname)) continue;
      return {option(fd, TCP_NODELAY), option(fd, TCP_NOTSENT_LOWAT)};
    }
    return {};
  }
};

TEST_P(listener_test, accepted_sockets_inherit_the_limits) {
  auto with = of_a_connection(12'345);
  EXPECT_EQ(with.no_delay, 1);
  EXPECT_EQ(with.queued_bytes, 12'345);
  auto without = of_a_connection(0);
  EXPECT_EQ(without.no_delay, 1);
  EXPECT_EQ(without.queued_bytes, 0);
}

INSTANTIATE_TEST_SUITE_P(models, listener_test, testing::ValuesIn(all_models()),
                         model_name);

}  // namespace
}  // namespace duel::net
