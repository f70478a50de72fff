// fuzz_feedback.cpp - tells libFuzzer which code ran. Linked into every fuzz target,
// compiled without feedback itself.
//
// GCC calls __sanitizer_cov_trace_pc at every branch target; libFuzzer's own refuses to
// be called (the linker gives the name to us) and wants counters with the address that
// each stands for. A counter is found by a hash of the address: two that meet count as
// one place.
#include <cstddef>
#include <cstdint>

namespace {
constexpr std::size_t places = 1 << 14;
struct place {
  std::uintptr_t address = 0, flags = 0;
};
// libFuzzer reads them between two inputs.
std::uint8_t counters[places];
place addresses[places];
}  // namespace

extern "C" {
void __sanitizer_cov_8bit_counters_init(std::uint8_t* begin, std::uint8_t* end);
void __sanitizer_cov_pcs_init(const std::uintptr_t* begin, const std::uintptr_t* end);

void __wrap___sanitizer_cov_trace_pc() {
  auto address = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
  std::size_t at = (address * 0x9E3779B97F4A7C15u) >> (64 - 14);
  addresses[at].address = address;
  ++counters[at];
}
}

namespace {
[[maybe_unused]] const bool registered = [] {
  __sanitizer_cov_8bit_counters_init(counters, counters + places);
  __sanitizer_cov_pcs_init(reinterpret_cast<const std::uintptr_t*>(addresses),
                           reinterpret_cast<const std::uintptr_t*>(addresses + places));
  return true;
}();
}  // namespace
