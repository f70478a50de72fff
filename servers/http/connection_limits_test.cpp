// connection_limits_test.cpp - what bounds a connection: the time of a body, the answers
// in a row, and how many connections there are.
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "runtimes/api/task.hpp"
#include "servers/http/connection.hpp"
#include "servers/http/test_conversation.hpp"

namespace duel::http {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t block = 64 * 1024;  // of a body, each with its own deadline
const std::string get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const std::string chunks =
    "POST /size HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

std::string closing_answer(const std::string& status, const std::string& why) {
  return "HTTP/1.1 " + status +
         "\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(why.size()) +
         "\r\nConnection: close\r\n\r\n" + why;
}
std::string head_of(std::size_t body) {
  return "POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body) +
         "\r\n\r\n";
}

void size(const request& r, responder& reply) {
  reply.send(200, text_plain, std::to_string(r.body.size()) + " bytes");
}
constexpr route table[] = {{"/size", methods::post, false, &size}};

class connection_limits_test : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    how_.routes = table;
    if (auto made = make_model({.model = GetParam(), .workers = 2}); !made) {
      GTEST_SKIP() << made.error();
    }
  }
  options how_;
};

TEST_P(connection_limits_test, gives_up_on_a_body_however_steadily_it_trickles) {
  how_.body_timeout = milliseconds(200);
  // A body by bytes, by chunks, and what is no body at all: an extension, a trailer.
  const std::pair<std::string, std::string> ways[] = {{head_of(1'000'000), "b"},
                                                      {chunks, "1\r\nb\r\n"},
                                                      {chunks + "5;", "e"},
                                                      {chunks + "0\r\nX: ", "t"}};
  for (const auto& [begins, goes_on] : ways) {
    conversation c(GetParam(), how_);
    std::atomic<bool> is_over = false;
    c.say(begins);
    std::thread trickle([&] {
      while (!is_over) {
        c.say(goes_on);
        std::this_thread::sleep_for(milliseconds(10));
      }
    });
    EXPECT_EQ(
        c.hear("in time\n"),
        closing_answer("408 Request Timeout", "the request did not arrive in time\n"));
    is_over = true;
    trickle.join();
  }
}

TEST_P(connection_limits_test, gives_each_block_of_a_body_its_time) {
  how_.body_timeout = milliseconds(2000);
  conversation c(GetParam(), how_);
  c.say(head_of(10 * block));
  for (int i = 0; i < 10; ++i) {
    std::this_thread::sleep_for(milliseconds(250));
    c.say(std::string(block, 'b'));
  }
  EXPECT_TRUE(c.hear("bytes").ends_with("655360 bytes"));
}

TEST_P(connection_limits_test, times_a_body_apart_from_its_head) {
  how_.header_timeout = milliseconds(900);
  conversation c(GetParam(), how_);
  for (int i = 0; i < 2; ++i) {
    c.say(head_of(4) + "bo");
    std::this_thread::sleep_for(milliseconds(1100));
    c.say("dy");
    EXPECT_TRUE(c.hear("bytes").ends_with("4 bytes"));
  }
}

TEST_P(connection_limits_test, turns_away_whatever_is_asked) {
  const auto answer = closing_answer("503 Service Unavailable",
                                     "too many connections; try again later\n");
  for (const std::string& asked : {std::string(), get, get + get, head_of(100'000)}) {
    conversation c(GetParam(), how_, [](net::stream peer, const options& how) {
      turn_away(std::move(peer), how, true);
      return connection_end::closed;
    });
    c.say(asked);
    EXPECT_EQ(c.hear_all(), answer);
    if (asked.empty()) c.outlast();  // a client that never closes, too, is over
    c.finish();
    EXPECT_EQ(c.counted(counter::turned_away), 1u);
    EXPECT_EQ(c.counted(counter::requests) + c.counted(counter::served), 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(models, connection_limits_test,
                         testing::Values("serial", "threads", "stealing", "sharded"),
                         [](const auto& with) { return std::string(with.param); });

// Two connections of one worker. `greedy` has hundreds of requests here at once, the
// first of which makes `modest` ask for one thing.
class taking_turns {
 public:
  // How many of greedy's were answered before modest's.
  static int answered_first(const model_options& model, unsigned max_pipeline) {
    constexpr route both[] = {{"/greedy", methods::get_and_head, false, &on_greedy},
                              {"/modest", methods::get_and_head, false, &on_modest}};
    options how{.routes = both, .max_pipeline = max_pipeline};
    greedy_answered_ = 0;
    before_modest_ = -1;
    auto made = make_model(model);
    if (!made) throw std::runtime_error(made.error());
    std::string all;
    for (int i = 0; i < greedy_count; ++i) {
      all += "GET /greedy HTTP/1.1\r\nHost: a\r\n\r\n";
    }
    int greedy[2], modest[2];
    for (int* pair : {greedy, modest}) {
      if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) std::abort();
    }
    modest_client_ = modest[0];
    if (::write(greedy[0], all.data(), all.size()) != std::ssize(all)) std::abort();
    ::shutdown(greedy[0], SHUT_WR);
    (*made)->run([&] {
      auto serve = [&how](int fd) {
        return spawn([&how, fd] {
          if (auto peer = net::stream::adopt(fd)) {
            serve_connection(std::move(*peer), how);
          }
        });
      };
      auto second = serve(modest[1]);
      yield();  // it waits for its request
      auto first = serve(greedy[1]);
      first.join();
      second.join();
    });
    ::close(greedy[0]);
    ::close(modest[0]);
    return before_modest_;
  }
  static constexpr int greedy_count = 100;  // the socket takes all answers unread

 private:
  static void on_greedy(const request&, responder& reply) {
    if (greedy_answered_++ == 0) {
      std::string_view asked = "GET /modest HTTP/1.1\r\nHost: a\r\n\r\n";
      if (::write(modest_client_, asked.data(), asked.size()) != std::ssize(asked)) {
        std::abort();
      }
      ::shutdown(modest_client_, SHUT_WR);
    }
    reply.send(200, text_plain, "more");
  }
  static void on_modest(const request&, responder& reply) {
    before_modest_ = greedy_answered_;
    reply.send(200, text_plain, "thanks");
  }
  // Of the one worker.
  static inline int greedy_answered_ = 0, before_modest_ = 0, modest_client_ = -1;
};

TEST(max_pipeline, lets_other_connections_of_the_worker_take_their_turn) {
  for (const model_options& model :
       {model_options{.model = "stealing", .workers = 1},
        {.model = "stealing", .driver = "uring", .workers = 1},
        {.model = "sharded", .driver = "epoll", .workers = 1},
        {.model = "sharded", .driver = "uring", .workers = 1}}) {
    if (!make_model(model)) continue;
    SCOPED_TRACE(model.model + "/" + model.driver);
    int first = taking_turns::answered_first(model, 1);
    EXPECT_GT(first, 0);
    // Without a limit it waits until nothing more of the greedy one has been received.
    EXPECT_LT(first, taking_turns::answered_first(model, 1'000));
  }
}

TEST(admission, lets_so_many_in_and_again_when_they_have_left) {
  admission to(2);
  {
    admission::place first(to), second(to), third(to);
    EXPECT_TRUE(first && second);
    EXPECT_FALSE(third);
  }
  admission::place again(to), and_again(to);
  EXPECT_TRUE(again && and_again);
  admission anybody(0);
  admission::place a(anybody), b(anybody);
  EXPECT_TRUE(a && b);
}

TEST(admission, counts_right_with_threads_coming_and_going) {
  constexpr int most = 3;
  admission to(most);
  std::atomic<int> inside = 0, exceeded = 0, entered = 0;
  {
    std::vector<std::jthread> all;
    for (int i = 0; i < 6; ++i) {
      all.emplace_back([&] {
        for (int round = 0; round < 20'000; ++round) {
          admission::place here(to);
          if (!here) continue;
          ++entered;
          if (++inside > most) ++exceeded;
          --inside;
        }
      });
    }
  }
  EXPECT_EQ(exceeded, 0);
  EXPECT_GT(entered, 0);
  admission::place a(to), b(to), c(to), d(to);
  EXPECT_TRUE(a && b && c);
  EXPECT_FALSE(d);
}

}  // namespace
}  // namespace duel::http
