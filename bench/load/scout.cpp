#include "bench/load/scout.hpp"

#include <fmt/format.h>
#include <llhttp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace duel::load {

namespace {

constexpr std::size_t most_learnt = 64 * 1024 * 1024;

struct answer {
  std::string body;
  unsigned status = 0;
  bool is_complete = false;
};

struct patience {
  ns deadline;
  const std::atomic<bool>& stop;
};

bool wait_for(int fd, short events, const patience& until) {
  constexpr int slice_ms = 100;  // how soon a signal is noticed
  pollfd one{.fd = fd, .events = events, .revents = 0};
  for (;;) {
    auto left = std::clamp<ns>((until.deadline - now()) / 1'000'000, 0, slice_ms);
    int ready = ::poll(&one, 1, static_cast<int>(left));
    if (ready != 0 || left < slice_ms || until.stop) return ready == 1;
  }
}

answer ask(int fd, const std::string& text, const patience& until) {
  answer heard;
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  settings.on_body = [](llhttp_t* p, const char* at, std::size_t size) {
    auto& body = static_cast<answer*>(p->data)->body;
    body.append(at, size);
    return body.size() > most_learnt ? -1 : 0;
  };
  settings.on_message_complete = [](llhttp_t* p) {
    auto& a = *static_cast<answer*>(p->data);
    a.status = p->status_code;
    a.is_complete = p->status_code / 100 != 1;
    return a.is_complete ? static_cast<int>(HPE_PAUSED) : 0;
  };
  llhttp_t parser;
  llhttp_init(&parser, HTTP_RESPONSE, &settings);
  parser.data = &heard;
  if (::send(fd, text.data(), text.size(), MSG_NOSIGNAL) < 0) return heard;
  while (!heard.is_complete && wait_for(fd, POLLIN, until)) {
    std::array<char, 64 * 1024> input;
    ssize_t got = ::recv(fd, input.data(), input.size(), 0);
    if (got <= 0) {
      if (got == 0) llhttp_finish(&parser);
      break;
    }
    auto error = llhttp_execute(&parser, input.data(), static_cast<std::size_t>(got));
    if (error != HPE_OK) break;
  }
  return heard;
}

}  // namespace

std::expected<std::optional<std::string>, std::string> scout_ahead(
    const options& o, const exchange& talk, const std::atomic<bool>& stop) {
  patience until{.deadline = now() + o.connect_timeout, .stop = stop};
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  auto* to = reinterpret_cast<const sockaddr*>(&o.to);
  int error = 0;
  if (!o.sources.empty()) {
    sockaddr_in source{.sin_family = AF_INET, .sin_addr = o.sources[0]};
    if (::bind(fd, reinterpret_cast<sockaddr*>(&source), sizeof source) < 0)
      error = errno;
  }
  if (!error && ::connect(fd, to, sizeof o.to) < 0) {
    error = errno;
    if (error == EINPROGRESS) {
      socklen_t size = sizeof error;
      error = ETIMEDOUT;
      if (wait_for(fd, POLLOUT, until)) {
        ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
      }
    }
  }
  if (error && stop) {
    ::close(fd);
    return std::nullopt;
  }
  if (error) {
    ::close(fd);
    return std::unexpected(fmt::format(
        "cannot connect to {}: {} (start the server, or check the address{})", o.host,
        std::strerror(error), o.sources.empty() ? "" : " and --source"));
  }
  std::optional<std::string> learnt;
  if (talk.is_curious()) {
    std::string text;
    talk.write(text, exchange::scout, 0);
    auto heard = ask(fd, text, until);
    if (heard.is_complete && heard.status == o.expect_status) {
      learnt = std::move(heard.body);
    }
  }
  ::close(fd);
  return learnt;
}

}  // namespace duel::load
