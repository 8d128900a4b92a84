// A fuzz target on inputs of a fixed stream: one CTest program a target, with any compiler and sanitizer.
#include <cstdint>
#include <vector>

#include "core/stream.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main() {
  for (std::uint64_t i = 0; i < 10000; ++i) {
    hbm_fast::Stream stream({1, 2}, hbm_fast::Site::group, i);
    std::vector<std::uint8_t> input(stream.bits() % 1000);
    for (auto& byte : input) byte = static_cast<std::uint8_t>(stream.bits());
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
}
