// log_pmf on dense rows of any type and any strides, broadcast or not, and on compressed sparse rows: no element too
// many is touched, no value is NaN, dense and sparse agree, and the gradient is a number.
#include <algorithm>
#include <cmath>

#include "fuzz/fuzz_input.hpp"
#include "likelihood/log_pmf.hpp"

namespace {

template <class Index>
void sparse_agrees(const fuzz::CountsArray& counts, const double* concentration, const double* dense) {
  const std::size_t n_rows = counts.view.n_rows;
  const std::size_t k_count = counts.view.n_categories;
  std::size_t stored = 0;
  for (std::size_t n = 0; n < n_rows; ++n) {
    for (std::size_t k = 0; k < k_count; ++k) stored += fuzz::count_at(counts, 0, n, k) != 0;
  }
  auto data = fuzz::exact<std::int64_t>(stored);
  auto columns = fuzz::exact<Index>(stored);
  auto offsets = fuzz::exact<Index>(n_rows + 1);
  std::size_t at = 0;
  for (std::size_t n = 0; n < n_rows; ++n) {
    for (std::size_t k = k_count; k-- > 0;) {  // unsorted columns are fine
      if (const std::int64_t x = fuzz::count_at(counts, 0, n, k); x != 0) {
        data[at] = x;
        columns[at++] = static_cast<Index>(k);
      }
    }
    offsets[n + 1] = static_cast<Index>(at);
  }
  const hbm_fast::CountsView entries{data.get(), hbm_fast::CountType::int64, 1, stored, 0, 1};
  const hbm_fast::SparseRows<Index> rows{
      entries, columns.get(), offsets.get(), n_rows, k_count, concentration, static_cast<std::ptrdiff_t>(k_count)};
  auto values = fuzz::exact<double>(n_rows);
  hbm_fast::log_pmf(rows, true, values.get(), 1, {});
  for (std::size_t n = 0; n < n_rows; ++n) {
    REQUIRE(values[n] == dense[n] || std::abs(values[n] - dense[n]) <= 1e-9 * std::max(1.0, std::abs(dense[n])));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const bool arbitrary = input.range(0, 7) == 0;
  const auto counts = fuzz::counts_array(input, 1, input.flag() ? 30 : 100000, arbitrary);
  const std::size_t n_rows = counts.view.n_rows;
  const std::size_t k_count = counts.view.n_categories;
  auto concentration = fuzz::exact<double>(n_rows * k_count);
  for (std::size_t i = 0; i < n_rows * k_count; ++i)
    concentration[i] = input.range(0, 15) == 0 ? 0.0 : input.positive();
  const bool unnatural = input.range(0, 15) == 0;  // any 64 bits: NaN, infinities, negative numbers
  if (unnatural && n_rows * k_count > 0) concentration[0] = input.take<double>();

  hbm_fast::Rows rows{counts.view, concentration.get(),      1,
                      {n_rows},    {counts.view.row_stride}, {static_cast<std::ptrdiff_t>(k_count)}};
  auto values = fuzz::exact<double>(n_rows);
  auto gradient = fuzz::exact<double>(n_rows * k_count);
  const int n_threads = static_cast<int>(input.range(1, 2));
  try {
    hbm_fast::log_pmf(rows, true, values.get(), n_threads, {});
  } catch (const std::invalid_argument&) {
    REQUIRE(arbitrary || unnatural);  // negative counts, totals above 2^53, a concentration that is none
    return 0;
  }
  for (std::size_t n = 0; n < n_rows; ++n) REQUIRE(!std::isnan(values[n]));
  if (!arbitrary && !unnatural) {
    hbm_fast::log_pmf_gradient(rows, true, values.get(), gradient.get(), n_threads, {});
    for (std::size_t n = 0; n < n_rows; ++n) {  // reciprocals of smaller ones overflow
      const double* const a = concentration.get() + n * k_count;
      if (std::none_of(a, a + k_count, [](double c) { return c >= 1e-300; })) continue;
      if (std::any_of(a, a + k_count, [](double c) { return c > 0.0 && c < 1e-300; })) continue;
      for (std::size_t k = 0; k < k_count; ++k) REQUIRE(!std::isnan(gradient[n * k_count + k]));
    }
    sparse_agrees<std::int32_t>(counts, concentration.get(), values.get());
    sparse_agrees<std::int64_t>(counts, concentration.get(), values.get());
    // one concentration for all rows, and one row for all concentrations
    rows.concentration_strides = {0};
    hbm_fast::log_pmf(rows, false, values.get(), n_threads, {});
    rows.counts_strides = {0};
    hbm_fast::log_pmf(rows, false, values.get(), n_threads, {});
    for (std::size_t n = 1; n < n_rows; ++n) REQUIRE(values[n] == values[0]);
  }
  return 0;
}
