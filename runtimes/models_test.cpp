// models_test.cpp - names to models, and what a wrong name is told.
#include "runtimes/models.hpp"

#include <gtest/gtest.h>

namespace duel {
namespace {

std::string refusal(model_options options) {
  auto made = make_model(options);
  return made ? "made " + (*made)->description() : made.error();
}

TEST(make_model, makes_each_model_with_its_driver) {
  for (std::string name : {"serial", "threads", "stealing", "sharded"}) {
    auto made = make_model({.model = name, .workers = 1});
    ASSERT_TRUE(made) << made.error();
    EXPECT_TRUE((*made)->description().starts_with("model=" + name + " driver="));
    bool ran = false;
    (*made)->run([&] { ran = true; });
    EXPECT_TRUE(ran);
    EXPECT_EQ((*made)->live_tasks(), 0u);
  }
}

TEST(make_model, has_all_four_corners_and_states_its_switches) {
  for (std::string model : {"stealing", "sharded"}) {
    for (std::string driver : {"epoll", "uring"}) {
      auto made =
          make_model({.model = model, .driver = driver, .switches = {{"spin-us", "7"}}});
      ASSERT_TRUE(made) << made.error();
      auto said = (*made)->description();
      EXPECT_TRUE(said.starts_with("model=" + model + " driver=" + driver)) << said;
      EXPECT_NE(said.find(" spin-us=7"), std::string::npos) << said;
    }
  }
}

TEST(make_model, says_what_to_do_instead) {
  EXPECT_EQ(refusal({.model = "fibres"}),
            "no model 'fibres' (models: serial, threads, stealing, sharded)");
  EXPECT_EQ(refusal({.model = "stealing", .driver = "kqueue"}),
            "model stealing has no driver 'kqueue' (drivers: epoll, uring)");
  EXPECT_EQ(refusal({.model = "serial", .driver = "epoll"}),
            "model serial has no driver 'epoll' (drivers: blocking)");
  EXPECT_EQ(refusal({.workers = 0}), "--workers must be at least 1");
  EXPECT_EQ(refusal({.workers = 1025}), "--workers must be at most 1024");
}

}  // namespace
}  // namespace duel
