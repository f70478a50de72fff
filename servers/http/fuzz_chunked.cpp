// fuzz_chunked.cpp - libFuzzer target: any bytes as a chunked body and what follows it.
#include "servers/http/test_fuzzing.hpp"

extern "C" int LLVMFuzzerTestOneInput(const char* data, std::size_t size) {
  duel::http::fuzz_reading({data, size},
                           "POST /echo HTTP/1.1\r\nHost: a\r\n"
                           "Transfer-Encoding: chunked\r\n\r\n");
  return 0;
}
