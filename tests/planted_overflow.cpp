// planted_overflow.cpp - a fiber that writes one byte too far, on its stack or on the
// heap. AddressSanitizer must say so: else it does not see what happens on fiber stacks.
//
//   planted_overflow [--stack | --heap | --fixed]
//
// --fixed: the same without the one byte, which must be reported clean. The fiber has
// waited and may have moved before it writes.
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <memory>

#include "runtimes/api/task.hpp"
#include "runtimes/api/time.hpp"
#include "runtimes/models.hpp"

namespace {

constexpr std::size_t room = 64;
volatile std::size_t past_the_end =
    room;  // volatile: the compiler must not see it coming

[[gnu::noinline]] void fill(volatile char* memory, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) memory[i] = 'x';
}

[[gnu::noinline]] void overflow_stack(std::size_t size) {
  volatile char memory[room];
  fill(memory, size);
}

[[gnu::noinline]] void overflow_heap(std::size_t size) {
  auto memory = std::make_unique<char[]>(room);
  fill(memory.get(), size);
}

}  // namespace

int main(int argc, char** argv) {
  auto has = [&](const char* flag) {
    return argc > 1 && std::strcmp(argv[1], flag) == 0;
  };
  std::size_t excess = has("--fixed") ? 0 : 1;
  auto overflow = has("--heap") ? overflow_heap : overflow_stack;
  auto model = duel::make_model({.model = "stealing", .workers = 2});
  if (!model) return std::fprintf(stderr, "%s\n", model.error().c_str()), 2;
  (*model)->run([&] {
    auto body = [&] {
      for (int i = 0; i < 100; ++i) duel::yield();
      (void)duel::sleep_for(std::chrono::milliseconds(1));
      overflow(past_the_end + excess);
    };
    duel::spawn(body).join();
  });
  std::puts("no report");
  return 0;
}
