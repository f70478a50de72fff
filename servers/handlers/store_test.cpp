// Tests the store under the models that differ in how it is reached: behind locks from
// several workers, and at the shards that own the keys.
#include "servers/handlers/store.hpp"

#include <gtest/gtest.h>

#include "runtimes/models.hpp"

namespace duel::handlers {
namespace {

struct place {
  const char* model;
  bool is_sharded;
};

class store_test : public testing::TestWithParam<place> {
 protected:
  static constexpr std::size_t room = 10'000;

  void run(void (*body)(store&)) {
    auto model = make_model({.model = GetParam().model, .workers = 2});
    if (!model) GTEST_SKIP() << model.error();
    auto kept = GetParam().is_sharded ? store::sharded(room, (*model)->homes())
                                      : store::shared(room);
    (*model)->run([&] { body(kept); });
  }
};

std::string text(store& in, std::string_view key) {
  auto found = in.get(key);
  return found ? *found : "(none)";
}
std::string key(int i) {
  return "key " + std::to_string(i);
}

TEST_P(store_test, keeps_replaces_and_erases) {
  run([](store& s) {
    for (int i = 0; i < 20; ++i) EXPECT_EQ(s.put(key(i), "a"), store::put_end::created);
    for (int i = 0; i < 20; i += 2) {
      EXPECT_EQ(s.put(key(i), "longer"), store::put_end::replaced);
    }
    for (int i = 0; i < 20; ++i) EXPECT_EQ(text(s, key(i)), i % 2 ? "a" : "longer");
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(s.erase(key(i)));
    EXPECT_FALSE(s.erase(key(0)));
    EXPECT_EQ(text(s, key(0)), "(none)");
    EXPECT_EQ(s.used_bytes(), 0u);
  });
}

TEST_P(store_test, is_full_at_its_bound_and_loses_nothing) {
  run([](store& s) {
    std::size_t most = room - store::entry_bytes - 1;
    EXPECT_EQ(s.put("a", std::string(most + 1, 'x')), store::put_end::full);
    EXPECT_EQ(text(s, "a"), "(none)");
    EXPECT_EQ(s.put("a", std::string(most, 'x')), store::put_end::created);
    EXPECT_EQ(s.used_bytes(), room);
    EXPECT_EQ(s.put("b", ""), store::put_end::full);
    EXPECT_EQ(text(s, "b"), "(none)");
    EXPECT_EQ(s.put("a", std::string(most + 1, 'y')), store::put_end::full);
    EXPECT_EQ(text(s, "a"), std::string(most, 'x'));
    EXPECT_EQ(s.put("a", "small"), store::put_end::replaced);
    EXPECT_EQ(s.put("b", "now it fits"), store::put_end::created);
    EXPECT_EQ(s.used_bytes(), 2 * (store::entry_bytes + 1) + 5 + 11);
  });
}

// Who reads a value keeps it.
TEST_P(store_test, a_value_outlives_its_key) {
  run([](store& s) {
    (void)s.put("a", "before");
    auto held = s.get("a");
    (void)s.put("a", "after");
    (void)s.erase("a");
    EXPECT_EQ(*held, "before");
  });
}

// Writers of overlapping keys beside each other: every byte is accounted for.
TEST_P(store_test, its_size_is_exact) {
  run([](store& s) {
    auto churn = [&s] {
      for (int i = 0; i < 300; ++i) {
        auto which = key(i % 7);
        if (i % 3 == 0) {
          s.erase(which);
        } else {
          (void)s.put(which, std::string(static_cast<std::size_t>(i % 50), 'v'));
        }
      }
    };
    std::vector<join_handle<void>> all;
    for (int t = 0; t < 8; ++t) all.push_back(spawn(churn));
    call_at(current_task()->owner.homes() - 1, churn);
    for (auto& each : all) each.join();
    std::size_t sum = 0;
    for (int i = 0; i < 7; ++i) {
      if (auto v = s.get(key(i))) sum += key(i).size() + v->size() + store::entry_bytes;
    }
    EXPECT_EQ(s.used_bytes(), sum);
  });
}

INSTANTIATE_TEST_SUITE_P(models, store_test,
                         testing::Values(place{"serial", false}, place{"threads", false},
                                         place{"stealing", false},
                                         place{"sharded", false}, place{"sharded", true}),
                         [](const auto& with) {
                           return std::string(with.param.model) +
                                  (with.param.is_sharded ? "_sharded" : "_shared");
                         });

}  // namespace
}  // namespace duel::handlers
