// The kernels that weigh a network's draws, on any numbers, in buffers of exactly the size of the contract: draws and
// densities are numbers, and the same for two threads.
#include <cmath>

#include "fuzz/fuzz_input.hpp"
#include "math/normal_tails.hpp"
#include "networks/gaussian_mixture.hpp"

namespace {

// n numbers around low or high.
std::unique_ptr<float[]> floats(fuzz::Input& input, std::size_t n, float low, float high) {
  auto result = fuzz::exact<float>(n);
  for (std::size_t i = 0; i < n; ++i) {
    result[i] = (input.flag() ? low : high) + (high - low) * static_cast<float>(input.range(-99, 99)) / 256.0f;
  }
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto b = input.size(0, 3);
  const auto c = input.size(1, 4);
  const auto d = input.size(1, 5);
  const auto s = input.size(0, 140);
  const std::size_t n_lower = input.flag() ? d * (d - 1) / 2 : 0;
  const auto mean = floats(input, b * c * d, -30.0f, 30.0f), lower = floats(input, b * c * n_lower, -9.0f, 9.0f);
  const hbm_fast::MixtureView mixture{b, c, d, n_lower, mean.get(), lower.get()};
  const auto edges = floats(input, b * (c - 1), 0.0f, 1.0f), uniform = floats(input, b * s, 0.0f, 1.0f);
  const auto spread = floats(input, b * c * d, 1.0f, 2.0f), noise = floats(input, b * s * d, -4.0f, 4.0f);
  const auto constant = floats(input, b * c, -50.0f, 50.0f);
  auto z = fuzz::exact<float>(b * s * d), again = fuzz::exact<float>(b * s * d);
  auto density = fuzz::exact<double>(b * s), other = fuzz::exact<double>(b * s);
  for (const int n_threads : {1, 2}) {
    hbm_fast::mixture_draws(mixture, edges.get(), spread.get(), uniform.get(), noise.get(), s,
                            n_threads == 1 ? z.get() : again.get(), n_threads, {});
    hbm_fast::mixture_log_density(mixture, constant.get(), spread.get(), z.get(), s,
                                  n_threads == 1 ? density.get() : other.get(), n_threads, {});
  }
  REQUIRE(std::equal(z.get(), z.get() + b * s * d, again.get()));
  REQUIRE(std::equal(density.get(), density.get() + b * s, other.get()));
  auto low = fuzz::exact<double>(b * s * d), high = fuzz::exact<double>(b * s * d);
  hbm_fast::normal_tails(z.get(), 1, b * s * d, low.get(), high.get(), 1, 2, {});
  for (std::size_t i = 0; i < b * s * d; ++i) {
    REQUIRE(std::isfinite(z[i]));
    REQUIRE(std::isfinite(low[i]) && low[i] < 0.0 && high[i] < 0.0);
  }
  for (std::size_t i = 0; i < b * s; ++i) REQUIRE(std::isfinite(density[i]));
  return 0;
}
