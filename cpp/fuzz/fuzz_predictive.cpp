// The kernels of predictions: any draws, any rows, buffers of exactly the size of the contract.
#include <cmath>

#include "fuzz/fuzz_input.hpp"
#include "prediction/predictive.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto b_count = input.size(0, 3);
  const auto s_count = input.size(0, 20);
  const auto k_count = input.size(2, 6);
  const auto r_count = input.size(0, 4);
  const std::int64_t largest = input.flag() ? 30 : 1000000;

  auto log_alpha = fuzz::exact<double>(b_count * s_count);
  auto log_beta = fuzz::exact<double>(b_count * s_count * k_count);
  for (std::size_t i = 0; i < b_count * s_count; ++i) {
    log_alpha[i] = std::log(input.positive());
    double sum = 0.0;
    for (std::size_t k = 0; k < k_count; ++k) sum += log_beta[i * k_count + k] = 1.0 + input.take<std::uint8_t>();
    for (std::size_t k = 0; k < k_count; ++k) log_beta[i * k_count + k] = std::log(log_beta[i * k_count + k] / sum);
  }
  auto rows = fuzz::exact<std::int64_t>(b_count * k_count);
  for (std::size_t i = 0; i < b_count * k_count; ++i) rows[i] = input.range(0, largest);
  auto datasets = fuzz::exact<std::uint64_t>(b_count);
  for (std::size_t b = 0; b < b_count; ++b) datasets[b] = input.take<std::uint64_t>();

  const hbm_fast::DrawsView draws{log_alpha.get(), log_beta.get(), b_count, s_count, k_count};
  const hbm_fast::PosteriorAddress address{
      {input.take<std::uint64_t>(), input.take<std::uint64_t>()}, input.take<std::uint64_t>(), datasets.get()};
  const int n_threads = static_cast<int>(input.range(1, 2));
  auto log_theta = fuzz::exact<double>(b_count * s_count * k_count);
  hbm_fast::draw_log_theta(draws, rows.get(), address, log_theta.get(), n_threads, {});
  for (std::size_t i = 0; i < b_count * s_count; ++i) {
    double mass = 0.0;
    for (std::size_t k = 0; k < k_count; ++k) {
      REQUIRE(std::isfinite(log_theta[i * k_count + k]));
      mass += std::exp(log_theta[i * k_count + k]);
    }
    REQUIRE(std::abs(mass - 1.0) < 1e-9);
  }

  auto groups = fuzz::exact<std::int64_t>(b_count * r_count * k_count);
  for (std::size_t i = 0; i < b_count * r_count * k_count; ++i) groups[i] = input.range(0, largest);
  auto log_pmf = fuzz::exact<double>(b_count * s_count * r_count);
  hbm_fast::group_log_pmf(draws, groups.get(), r_count, true, log_pmf.get(), n_threads, {});
  for (std::size_t i = 0; i < b_count * s_count * r_count; ++i) {
    REQUIRE(std::isfinite(log_pmf[i]));
    REQUIRE(log_pmf[i] < 1e-6);
  }

  auto totals = fuzz::exact<std::int64_t>(b_count);
  for (std::size_t b = 0; b < b_count; ++b) totals[b] = input.range(0, largest);
  auto counts = fuzz::exact<std::int64_t>(b_count * s_count * k_count);
  hbm_fast::draw_predictive_counts(log_theta.get(), b_count, s_count, k_count, totals.get(), address, counts.get(),
                                   n_threads, {});
  for (std::size_t b = 0; b < b_count; ++b) {
    for (std::size_t s = 0; s < s_count; ++s) {
      std::int64_t total = 0;
      for (std::size_t k = 0; k < k_count; ++k) {
        const std::int64_t x = counts[(b * s_count + s) * k_count + k];
        REQUIRE(x >= 0);
        total += x;
      }
      REQUIRE(total == totals[b]);
    }
  }
  return 0;
}
