// fuzz_request.cpp - libFuzzer target: any bytes as a connection's stream of requests.
#include "servers/http/test_fuzzing.hpp"

extern "C" int LLVMFuzzerTestOneInput(const char* data, std::size_t size) {
  duel::http::fuzz_reading({data, size}, "");
  return 0;
}
