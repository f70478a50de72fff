// Tests the connection loop under every model of this build, against a real socket.
#include "servers/http/connection.hpp"

#include <atomic>

#include "runtimes/api/time.hpp"
#include "servers/http/test_conversation.hpp"

namespace duel::http {
namespace {

using std::chrono::milliseconds;

std::atomic<bool> gate_reached, gate_open;

void small(const request&, responder& reply) {
  reply.send(200, text_plain, "small");
}
void echo(const request& r, responder& reply) {
  reply.send(200, text_plain, r.body);
}
void large(const request&, responder& reply) {
  std::string part(100'000, 'x');
  reply.begin({.content_type = text_plain, .content_length = 200 * part.size()});
  for (int i = 0; i < 200; ++i) {
    if (!reply.write(part)) return;
  }
}
// Answers when the test opens the gate, or not at all if it is cut before.
void gate(const request&, responder& reply) {
  gate_reached = true;
  while (!gate_open) {
    if (!sleep_for(milliseconds(2))) return;
  }
  reply.send(200, text_plain, "through");
}
void fails(const request&, responder&) {
  throw std::runtime_error("on purpose");
}
void fails_late(const request&, responder& reply) {
  reply.begin({.content_type = text_plain, .content_length = 10});
  reply.write("half");
  throw std::runtime_error("on purpose");
}

constexpr route table[] = {
    {"/", methods::get_and_head, false, &small},
    {"/echo", methods::post, false, &echo},
    {"/large", methods::get_and_head, false, &large},
    {"/gate", methods::get_and_head, true, &gate},
    {"/fails", methods::get_and_head, false, &fails},
    {"/fails-late", methods::get_and_head, false, &fails_late},
};

std::string answer(std::string_view status, std::string_view body,
                   std::string_view extra = "") {
  return "HTTP/1.1 " + std::string(status) +
         "\r\nContent-Type: text/plain\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n" + std::string(extra) + "\r\n" +
         std::string(body);
}
const std::string closing = "Connection: close\r\n";
const std::string ok = answer("200 OK", "small");
const std::string get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const std::string last = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const std::string ok_last = answer("200 OK", "small", closing);

std::string post(std::string_view body, std::string_view extra = "") {
  return "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n" + std::string(extra) + "\r\n" +
         std::string(body);
}

class connection_test : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    gate_reached = gate_open = false;
    how_.routes = table;
    if (auto made = make_model({.model = GetParam(), .workers = 2}); !made) {
      GTEST_SKIP() << made.error();
    }
  }
  void await_gate() {
    while (!gate_reached) std::this_thread::sleep_for(milliseconds(1));
  }
  options how_;
};

TEST_P(connection_test, keeps_the_connection_until_the_client_closes) {
  conversation c(GetParam(), how_);
  for (int i = 0; i < 3; ++i) {
    c.say(get);
    EXPECT_EQ(c.hear("small"), ok);
  }
  c.say_no_more();
  EXPECT_EQ(c.hear_all(), "");
  EXPECT_EQ(c.finish(), connection_end::closed);
  EXPECT_EQ(c.counted(counter::requests), 3u);
  EXPECT_EQ(c.counted(counter::served), 1u);
}

TEST_P(connection_test, closes_when_the_client_asks) {
  conversation c(GetParam(), how_);
  c.say(last);
  EXPECT_EQ(c.hear_all(), ok_last);
}

TEST_P(connection_test, answers_pipelined_requests_in_order) {
  std::string asked, expected;
  for (int i = 0; i < 300; ++i) {
    std::string body(static_cast<std::size_t>(i), 'b');
    asked += get + post(body);
    expected += ok + answer("200 OK", body);
  }
  conversation c(GetParam(), how_);
  std::thread asker([&] { c.say(asked + last); });
  EXPECT_EQ(c.hear_all(), expected + ok_last);
  asker.join();
}

TEST_P(connection_test, takes_single_bytes) {
  conversation c(GetParam(), how_);
  for (char byte : post("body") + "\r\n" + get + last) c.say({&byte, 1});
  EXPECT_EQ(c.hear_all(), answer("200 OK", "body") + ok + ok_last);
}

TEST_P(connection_test, answers_head_without_a_body) {
  conversation c(GetParam(), how_);
  c.say(
      "HEAD / HTTP/1.1\r\nHost: a\r\n\r\nHEAD /large HTTP/1.1\r\nHost: a\r\n\r\n"
      "HEAD /nowhere HTTP/1.1\r\nHost: a\r\n\r\n" +
      last);
  EXPECT_EQ(
      c.hear_all(),
      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n"
      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 20000000\r\n\r\n"
      "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 16\r\n\r\n" +
          ok_last);
}

TEST_P(connection_test, speaks_http_1_0) {
  conversation c(GetParam(), how_);
  c.say("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(c.hear_all(),
            answer("200 OK", "small", "Connection: keep-alive\r\n") + ok_last);
}

TEST_P(connection_test, closes_after_each_answer_without_keep_alive) {
  how_.keep_alive = false;
  conversation c(GetParam(), how_);
  c.say(get + get);
  EXPECT_EQ(c.hear_all(), ok_last);
  EXPECT_EQ(c.finish(), connection_end::closed);
  EXPECT_EQ(c.counted(counter::requests), 1u);
}

TEST_P(connection_test, refuses_routes_and_goes_on) {
  conversation c(GetParam(), how_);
  c.say(
      "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\nDELETE / HTTP/1.1\r\nHost: a\r\n\r\n"
      "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n" +
      last);
  std::string body = "the method is not allowed here\n";
  EXPECT_EQ(c.hear_all(),
            answer("404 Not Found", "nothing is here\n") +
                answer("405 Method Not Allowed", body, "Allow: GET, HEAD, OPTIONS\r\n") +
                answer("405 Method Not Allowed", body, "Allow: POST, OPTIONS\r\n") +
                ok_last);
}

TEST_P(connection_test, refuses_malformed_requests_and_closes) {
  const std::pair<std::string, std::string> cases[] = {
      {"GET / HTTP/1.1\r\n\r\n", "400 Bad Request"},
      {"GET / HTTP/3.7\r\n\r\n", "505 HTTP Version Not Supported"},
      {"FROB / HTTP/1.1\r\n\r\n", "501 Not Implemented"},
      {"GET /" + std::string(9000, 'a') + " HTTP/1.1\r\n\r\n", "414 URI Too Long"},
      {"GET / HTTP/1.1\r\nX: " + std::string(20'000, 'a') + "\r\n\r\n",
       "431 Request Header Fields Too Large"},
      {post(std::string(100'000, 'a')), "413 Content Too Large"},
      {post("a", "Expect: miracles\r\n"), "417 Expectation Failed"},
  };
  how_.most.body_bytes = 1000;
  for (const auto& [asked, status] : cases) {
    conversation c(GetParam(), how_);
    c.say(get + asked);
    c.say_no_more();
    std::string heard = c.hear_all();
    ASSERT_TRUE(heard.starts_with(ok)) << heard;
    heard.erase(0, ok.size());
    EXPECT_TRUE(heard.starts_with("HTTP/1.1 " + status + "\r\n")) << heard;
    EXPECT_NE(heard.find(closing), std::string::npos);
    EXPECT_TRUE(heard.ends_with("\n")) << heard;  // not by a reset
    EXPECT_EQ(heard.find("\nHTTP/1.1 "), std::string::npos) << heard;
  }
}

TEST_P(connection_test, asks_for_a_body_that_waits_to_be_asked) {
  conversation c(GetParam(), how_);
  std::string all = post("body", "Expect: 100-continue\r\n");
  c.say(all.substr(0, all.size() - 4));
  EXPECT_EQ(c.hear("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  c.say("body");
  EXPECT_EQ(c.hear("body"), answer("200 OK", "body"));
}

TEST_P(connection_test, closes_silently_when_nothing_is_asked) {
  how_.idle_timeout = milliseconds(20);
  conversation c(GetParam(), how_);
  EXPECT_EQ(c.hear_all(), "");
  conversation after_one(GetParam(), how_);
  after_one.say(get);
  EXPECT_EQ(after_one.hear_all(), ok);
}

TEST_P(connection_test, gives_up_on_slow_requests) {
  how_.header_timeout = how_.body_timeout = milliseconds(100);
  std::string timed_out =
      answer("408 Request Timeout", "the request did not arrive in time\n", closing);
  for (auto part : {get.substr(0, 5), post("body").substr(0, post("body").size() - 1)}) {
    conversation c(GetParam(), how_);
    c.say(part);
    EXPECT_EQ(c.hear_all(), timed_out);
  }
  // The head's time runs from its first byte, however steadily the rest trickles.
  conversation c(GetParam(), how_);
  std::atomic<bool> heard_all = false;
  std::thread trickle([&] {
    c.say("GET / HTTP/1.1\r\nX: ");
    while (!heard_all) {
      c.say("x");
      std::this_thread::sleep_for(milliseconds(10));
    }
  });
  EXPECT_EQ(c.hear("in time\n"), timed_out);
  heard_all = true;
  trickle.join();
}

TEST_P(connection_test, gives_up_on_a_client_that_does_not_read) {
  how_.write_timeout = milliseconds(50);
  conversation c(GetParam(), how_);
  c.say("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(c.outlast(), connection_end::closed);
  EXPECT_EQ(c.counted(counter::requests), 0u);
}

TEST_P(connection_test, survives_clients_that_leave) {
  for (std::string asked :
       {std::string(), get.substr(0, 10), post("body").substr(0, 60),
        std::string("GET /large HTTP/1.1\r\nHost: a\r\n\r\n"), get + get}) {
    conversation c(GetParam(), how_);
    c.say(asked);
    EXPECT_EQ(c.finish(), connection_end::closed);
  }
  conversation c(GetParam(), how_);
  c.say(get.substr(0, 10));
  c.say_no_more();
  EXPECT_EQ(c.hear_all(), "");
}

TEST_P(connection_test, carries_large_bodies_both_ways) {
  conversation c(GetParam(), how_);
  std::string body(how_.most.body_bytes, 'e');
  std::thread asker([&] {
    c.say(post(body) +
          "GET /large HTTP/1.1\r\nHost: a\r\n"
          "Connection: close\r\n\r\n");
  });
  std::string heard = c.hear_all();
  asker.join();
  std::string expected = answer("200 OK", body);
  ASSERT_EQ(heard.compare(0, expected.size(), expected), 0);
  EXPECT_EQ(heard.size(), expected.size() + answer("200 OK", "", closing).size() +
                              std::string_view("2000000").size() + 20'000'000);
}

TEST_P(connection_test, answers_500_when_a_handler_throws) {
  conversation c(GetParam(), how_);
  c.say("GET /fails HTTP/1.1\r\nHost: a\r\n\r\n" + get);
  c.say_no_more();
  EXPECT_EQ(c.hear_all(),
            answer("500 Internal Server Error", "the handler failed\n", closing));
}

TEST_P(connection_test, closes_without_an_end_when_a_handler_throws_late) {
  conversation c(GetParam(), how_);
  c.say("GET /fails-late HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(c.hear_all().find("HTTP", 1), std::string::npos);
  EXPECT_EQ(c.finish(), connection_end::closed);
  EXPECT_EQ(c.counted(counter::requests), 0u);
}

TEST_P(connection_test, sends_earlier_answers_before_a_handler_that_waits) {
  conversation c(GetParam(), how_);
  c.say(get + "GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(c.hear("small"), ok);
  gate_open = true;
  EXPECT_EQ(c.hear("through"), answer("200 OK", "through"));
}

TEST_P(connection_test, drains_an_idle_connection_silently) {
  conversation c(GetParam(), how_);
  c.say(get);
  EXPECT_EQ(c.hear("small"), ok);
  c.stop(stop_mode::drain);
  EXPECT_EQ(c.hear_all(), "");
  EXPECT_EQ(c.finish(), connection_end::closed);
}

TEST_P(connection_test, drains_after_the_answer_in_hand) {
  conversation c(GetParam(), how_);
  c.say("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n" + get);
  await_gate();
  c.stop(stop_mode::drain);
  gate_open = true;
  EXPECT_EQ(c.hear("small"), answer("200 OK", "through") + ok_last);
  c.say_no_more();
  EXPECT_EQ(c.hear_all(), "");
  EXPECT_EQ(c.finish(), connection_end::closed);
}

TEST_P(connection_test, answers_a_request_that_began_before_the_drain) {
  conversation c(GetParam(), how_);
  std::string all = post("body", "Expect: 100-continue\r\n");
  c.say(all.substr(0, all.size() - 4));
  EXPECT_EQ(c.hear("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  c.stop(stop_mode::drain);
  c.say("body");
  EXPECT_EQ(c.hear("body"), answer("200 OK", "body", closing));
}

TEST_P(connection_test, is_cut_in_the_middle_of_a_request) {
  conversation c(GetParam(), how_);
  c.say("GET /gate HTTP/1.1\r\nHost: a\r\n\r\n");
  await_gate();
  c.stop(stop_mode::cut);
  EXPECT_EQ(c.outlast(), connection_end::cut);
}

INSTANTIATE_TEST_SUITE_P(models, connection_test,
                         testing::Values("serial", "threads", "stealing", "sharded"),
                         [](const auto& with) { return std::string(with.param); });

}  // namespace
}  // namespace duel::http
