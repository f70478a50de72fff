// What the peer reads is what was written, in order and once, however it was gathered:
// on each driver, for random sequences of writes, reservations, flushes and answers. A
// peer that leaves early has read the beginning of it.
#include "servers/http/output.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <numeric>
#include <ostream>
#include <thread>
#include <vector>

#include "runtimes/models.hpp"
#include "servers/http/response.hpp"

namespace duel::http {
namespace {

enum class what { write, reserve, flush, answer, answer_to_head };

struct step {
  what kind;
  std::vector<std::size_t> sizes;  // of the parts; of a reservation the second is unused
};

std::ostream& operator<<(std::ostream& out, const step& s) {
  constexpr const char* names[] = {"write", "reserve", "flush", "answer",
                                   "answer_to_head"};
  out << names[static_cast<int>(s.kind)];
  for (auto size : s.sizes) out << ' ' << size;
  return out;
}

// Does the steps and returns what the peer should read. Bytes tell their places apart;
// none are those of a Date line.
class author {
 public:
  explicit author(net::stream& peer) : out_(peer, std::chrono::seconds(30)) {}

  std::string play(const std::vector<step>& steps) {
    for (const step& s : steps) play(s);
    ok_ &= out_.flush();
    return std::move(said_);
  }
  [[nodiscard]] bool is_ok() const { return ok_; }

 private:
  std::string text(std::size_t size) {
    std::string bytes(size, 'a');
    for (char& c : bytes) c = static_cast<char>('a' + next_++ % 23);
    return bytes;
  }

  void play(const step& s) {
    switch (s.kind) {
      case what::write:
        for (auto size : s.sizes) {
          said_ += text(size);
          ok_ &= out_.write(std::string_view(said_).substr(said_.size() - size));
        }
        break;
      case what::reserve:
        for (auto size : s.sizes) {
          std::string bytes = text(size % 2048);
          char* at = out_.reserve(2 * bytes.size());
          ok_ &= at != nullptr;
          if (!at) break;
          out_.commit(std::copy(bytes.begin(), bytes.end(), at));
          said_ += bytes;
        }
        break;
      case what::flush:
        ok_ &= out_.flush();
        break;
      default:
        answer(s.sizes, s.kind == what::answer_to_head);
    }
  }

  // Announces three quarters of what it then writes: the rest is dropped.
  void answer(const std::vector<std::size_t>& sizes, bool is_head) {
    responder reply(out_, is_head, persistence::implied);
    std::size_t all = std::accumulate(sizes.begin(), sizes.end(), std::size_t{0});
    response_head head{.content_type = text_plain, .content_length = all - all / 4};
    reply.begin(head);
    char room[max_head];
    said_.append(room, write_head(room, head, out_.now()));
    std::string body = text(all);
    if (!is_head) said_.append(body, 0, head.content_length);
    for (std::string_view rest = body; auto size : sizes) {
      reply.write(rest.substr(0, size));
      rest.remove_prefix(size);
    }
    ok_ &= reply.is_complete();
  }

  output out_;
  std::string said_;
  std::size_t next_ = 0;
  bool ok_ = true;
};

// The end of a cut date is lost in the same way.
std::string without_dates(std::string s) {
  for (std::size_t at = 0; (at = s.find("Date: ", at)) != std::string::npos;) {
    at += 6;
    std::fill_n(s.begin() + static_cast<std::ptrdiff_t>(at),
                std::min<std::size_t>(29, s.size() - at), '?');
  }
  return s;
}

// At most `most` bytes of what comes, then closes.
std::string hear(int fd, std::size_t most) {
  std::string heard;
  char part[4096];
  while (heard.size() < most) {
    auto got = ::recv(fd, part, std::min(sizeof part, most - heard.size()), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    heard.append(part, static_cast<std::size_t>(got));
  }
  ::close(fd);
  return heard;
}

struct outcome {
  std::string said, heard;
  bool ok = false;
};

outcome converse(const std::string& model, const std::vector<step>& steps,
                 std::size_t most) {
  auto made = make_model({.model = model, .workers = 1});
  if (!made) throw std::runtime_error(made.error());
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
  outcome o;
  std::thread peer([&] { o.heard = hear(ends[1], most); });
  (*made)->run([&] {
    auto stream = net::stream::adopt(ends[0]);
    author a(*stream);
    o.said = a.play(steps);
    o.ok = a.is_ok();
  });
  peer.join();
  return o;
}

}  // namespace
}  // namespace duel::http

template <>
struct rc::Arbitrary<duel::http::step> {
  static Gen<duel::http::step> arbitrary() {
    using namespace duel::http;
    // Around what the output decides by: a block of 16 KiB, and what it copies at most.
    auto size = gen::weightedOneOf<std::size_t>(
        {{6, gen::inRange<std::size_t>(0, 600)},
         {2, gen::inRange<std::size_t>(4093, 4100)},
         {2, gen::inRange<std::size_t>(16'381, 16'388)},
         {1, gen::inRange<std::size_t>(16'000, 150'000)}});
    return gen::construct<step>(
        gen::element(what::write, what::reserve, what::flush, what::answer,
                     what::answer_to_head),
        gen::resize(4, gen::container<std::vector<std::size_t>>(size)));
  }
};

namespace duel::http {
namespace {

// One generated case tries every driver.
constexpr const char* models[] = {"serial", "stealing", "sharded"};

RC_GTEST_PROP(output, gives_the_peer_what_was_written, (const std::vector<step>& steps)) {
  for (const char* model : models) {
    auto o = converse(model, steps, std::string::npos);
    RC_ASSERT(o.ok);
    RC_ASSERT(o.heard.size() == o.said.size());
    RC_ASSERT(without_dates(o.heard) == without_dates(o.said));
  }
}

RC_GTEST_PROP(output, gives_a_peer_that_leaves_the_beginning,
              (const std::vector<step>& steps, std::uint16_t most)) {
  for (const char* model : models) {
    auto o = converse(model, steps, most);
    RC_ASSERT(o.heard.size() <= most);
    RC_ASSERT(without_dates(o.said).starts_with(without_dates(o.heard)));
  }
}

}  // namespace
}  // namespace duel::http
