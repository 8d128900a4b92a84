// simulate and exceedance_counts: any request, buffers of exactly the size of the contract; what comes out is a
// simulation.
#include <cmath>
#include <limits>

#include "fuzz/fuzz_input.hpp"
#include "simulation/simulate.hpp"
#include "statistics/exceedances.hpp"

namespace {

void fuzz_simulate(fuzz::Input& input) {
  hbm_fast::SimulationRequest request{};
  request.key = {input.take<std::uint64_t>(), input.take<std::uint64_t>()};
  request.first = std::min(input.take<std::uint64_t>(), ~std::uint64_t{0} - 8);
  request.n_datasets = input.size(0, 5);
  request.max_groups = input.size(1, 70);
  request.n_categories = input.range(0, 15) == 0 ? input.size(31, 130) : input.size(2, 9);
  const std::size_t b_count = request.n_datasets;
  const std::size_t n_count = request.max_groups;
  const std::size_t k_count = request.n_categories;

  auto log_alpha = fuzz::exact<double>(b_count);
  auto log_beta = fuzz::exact<double>(b_count * k_count);
  request.alpha_given = input.flag();
  request.beta_given = input.flag();
  for (std::size_t b = 0; b < b_count; ++b) {
    const double far[] = {-1000.0, -690.0, 700.0, 1e4};
    log_alpha[b] = input.range(0, 7) == 0 ? far[input.range(0, 3)] : std::log(input.positive());
    double rest = 1.0;  // a beta that may hold zeros and ones
    for (std::size_t k = 0; k < k_count; ++k) {
      const double part = k + 1 == k_count ? 1.0 : static_cast<double>(input.take<std::uint8_t>()) / 255.0;
      const double share = std::min(rest, rest * part);  // never below zero is left
      log_beta[b * k_count + k] = std::log(share);
      rest -= share;
    }
  }
  request.alpha = {hbm_fast::AlphaKind::exponential, input.positive(), 0.0, 0.0, 0.0};
  if (input.flag()) request.alpha = {hbm_fast::AlphaKind::log_uniform, 0.0, 0.0, 1e-300, 1e16};
  request.beta.values.resize(k_count);
  for (auto& value : request.beta.values) value = input.positive();

  const std::int64_t sizes[] = {0, 1, 20, 64, 65, 300, 20000, 2000000000};
  const std::int64_t max_total = sizes[input.range(0, 7)];
  auto groups = fuzz::exact<std::int64_t>(b_count);
  auto totals = fuzz::exact<std::int64_t>(b_count * n_count);
  if (input.flag()) {
    for (std::size_t b = 0; b < b_count; ++b) groups[b] = input.range(1, static_cast<std::int64_t>(n_count));
    request.n_groups = {groups.get(), 1, 0, 0, 0};
  } else {
    request.n_groups.low = input.range(1, static_cast<std::int64_t>(n_count));
    request.n_groups.high = static_cast<std::int64_t>(n_count);
  }
  if (input.flag()) {
    for (std::size_t i = 0; i < b_count * n_count; ++i) totals[i] = input.range(0, max_total);
    request.totals = {totals.get(), n_count, 1, 0, 0};
  } else {
    request.totals.low = input.range(0, max_total);
    request.totals.high = max_total;
  }

  const std::size_t cells = b_count * n_count * k_count;
  const hbm_fast::CountType types[] = {hbm_fast::CountType::int32, hbm_fast::CountType::int64,
                                       hbm_fast::CountType::uint8, hbm_fast::CountType::int16};
  const auto type = types[max_total <= 255 ? input.range(0, 2) : max_total <= 20000 ? input.range(0, 1) : 0];
  fuzz::CountsArray counts{};
  const std::size_t item = fuzz::item_sizes[static_cast<std::size_t>(type)];
  counts.buffer.reset(new unsigned char[cells * item]);
  counts.view = {counts.buffer.get(), type, n_count, k_count, static_cast<std::ptrdiff_t>(k_count), 1};
  counts.n_datasets = b_count;
  counts.dataset_stride = static_cast<std::ptrdiff_t>(n_count * k_count);
  auto n_groups = fuzz::exact<std::int64_t>(b_count);
  const bool thetas = input.flag();
  auto log_theta = fuzz::exact<double>(thetas ? cells : 0);
  auto theta = fuzz::exact<double>(thetas ? cells : 0);
  const bool tabulated = max_total <= 300 && input.flag();
  const std::size_t table_size = b_count * (k_count + 1) * static_cast<std::size_t>(tabulated ? max_total : 0);
  auto statistics = fuzz::exact<float>(table_size);

  auto alpha = fuzz::exact<double>(b_count);
  auto beta = fuzz::exact<double>(b_count * k_count);

  const hbm_fast::SimulationArrays arrays{log_alpha.get(),
                                          log_beta.get(),
                                          alpha.get(),
                                          beta.get(),
                                          n_groups.get(),
                                          thetas ? log_theta.get() : nullptr,
                                          thetas ? theta.get() : nullptr,
                                          counts.buffer.get(),
                                          type,
                                          tabulated ? statistics.get() : nullptr,
                                          static_cast<std::size_t>(max_total),
                                          nullptr};
  hbm_fast::simulate(request, arrays, static_cast<int>(input.range(1, 2)));

  for (std::size_t b = 0; b < b_count; ++b) {
    REQUIRE(std::isfinite(log_alpha[b]));
    REQUIRE(n_groups[b] >= 1 && n_groups[b] <= static_cast<std::int64_t>(n_count));
    for (std::size_t n = 0; n < n_count; ++n) {
      const bool padding = static_cast<std::int64_t>(n) >= n_groups[b];
      std::int64_t total = 0;
      double mass = 0.0;
      for (std::size_t k = 0; k < k_count; ++k) {
        const std::int64_t x = fuzz::count_at(counts, b, n, k);
        REQUIRE(x >= 0);
        total += x;
        if (request.beta_given && std::isinf(log_beta[b * k_count + k])) REQUIRE(x == 0);
        if (thetas) {
          const double value = log_theta[(b * n_count + n) * k_count + k];
          REQUIRE(!std::isnan(value) && value <= 0.0);
          mass += std::exp(value);
        }
      }
      REQUIRE(total <= max_total);
      REQUIRE(!padding || total == 0);
      if (!padding && request.totals.values) REQUIRE(total == request.totals.given(b, n));
      if (thetas && !padding) REQUIRE(std::abs(mass - 1.0) < 1e-9);
    }
  }

  if (tabulated) {  // the table the simulator writes is the table of its counts
    auto table = fuzz::exact<float>(table_size);
    hbm_fast::exceedance_counts({counts.view, b_count, counts.dataset_stride}, arrays.max_total, table.get(), 1);
    REQUIRE(std::equal(table.get(), table.get() + table_size, statistics.get()));
  }
}

void fuzz_exceedances(fuzz::Input& input) {
  const auto counts = fuzz::counts_array(input, 4, 40);
  std::int64_t largest = 0;
  for (std::size_t b = 0; b < counts.n_datasets; ++b) {
    for (std::size_t n = 0; n < counts.view.n_rows; ++n) {
      std::int64_t total = 0;
      for (std::size_t k = 0; k < counts.view.n_categories; ++k) total += fuzz::count_at(counts, b, n, k);
      largest = std::max(largest, total);
    }
  }
  const auto max_total = input.size(0, 300);
  const std::size_t rows = counts.view.n_categories + 1;
  auto table = fuzz::exact<float>(counts.n_datasets * rows * max_total);
  try {
    hbm_fast::exceedance_counts({counts.view, counts.n_datasets, counts.dataset_stride}, max_total, table.get(), 1);
  } catch (const std::invalid_argument&) {
    REQUIRE(largest > static_cast<std::int64_t>(max_total));
    return;
  }
  REQUIRE(largest <= static_cast<std::int64_t>(max_total));
  for (std::size_t b = 0; b < counts.n_datasets; ++b) {
    for (std::size_t k = 0; k < rows && max_total > 0; ++k) {
      REQUIRE(table[(b * rows + k) * max_total] == static_cast<float>(fuzz::exceedance(counts, b, k, 0)));
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  if (input.flag()) {
    fuzz_simulate(input);
  } else {
    fuzz_exceedances(input);
  }
  return 0;
}
