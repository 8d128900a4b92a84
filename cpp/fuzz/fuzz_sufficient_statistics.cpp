// SufficientStatistics::add on any type, shape and strides, against the definition; merge against adding at once.
#include <cmath>

#include "fuzz/fuzz_input.hpp"
#include "statistics/sufficient_statistics.hpp"

namespace {

// Any 64 bits: refused, or added without tables as long as the largest count.
void add_anything(fuzz::Input& input) {
  const auto counts = fuzz::counts_array(input, 1, 0, true);
  auto weights = fuzz::exact<double>(counts.view.n_rows);
  for (std::size_t n = 0; n < counts.view.n_rows; ++n) weights[n] = input.flag() ? 1.0 : input.take<double>();
  hbm_fast::SufficientStatistics stats(counts.view.n_categories);
  try {
    stats.add(counts.view, input.flag() ? weights.get() : nullptr);
  } catch (const std::invalid_argument&) {
    REQUIRE(stats.n_groups() == 0.0);
    return;
  }
  auto concentration = fuzz::exact<double>(counts.view.n_categories);
  for (std::size_t k = 0; k < counts.view.n_categories; ++k) concentration[k] = input.positive();
  REQUIRE(!std::isnan(stats.log_likelihood(concentration.get())));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  if (input.range(0, 3) == 0) {
    add_anything(input);
    return 0;
  }
  const auto counts = fuzz::counts_array(input, 1, input.flag() ? 20 : 3000);
  const std::size_t n_categories = counts.view.n_categories;
  hbm_fast::SufficientStatistics stats(n_categories);
  stats.add(counts.view);
  REQUIRE(stats.n_groups() == static_cast<double>(counts.view.n_rows));
  REQUIRE(std::isfinite(stats.log_coefficient()));

  // j inside the tables and the first j behind them
  for (std::size_t k = 0; k <= n_categories; ++k) {
    const auto table = k < n_categories ? stats.exceedances(k) : stats.total_exceedances();
    const std::size_t last = table.size();
    for (const std::size_t j : {std::size_t{0}, last / 2, last == 0 ? 0 : last - 1, last}) {
      const auto expected = fuzz::exceedance(counts, 0, k, static_cast<std::int64_t>(j));
      REQUIRE((j < last ? table[j] : 0.0) == static_cast<double>(expected));
    }
  }

  auto concentration = fuzz::exact<double>(n_categories);
  for (std::size_t k = 0; k < n_categories; ++k) concentration[k] = input.positive();
  auto gradient = fuzz::exact<double>(n_categories);
  const double value = stats.log_likelihood(concentration.get(), gradient.get());
  REQUIRE(std::isfinite(value));
  for (std::size_t k = 0; k < n_categories; ++k) REQUIRE(std::isfinite(gradient[k]));

  auto head = counts.view;
  auto tail = counts.view;
  head.n_rows = counts.view.n_rows / 2;
  tail.n_rows = counts.view.n_rows - head.n_rows;
  const auto item = static_cast<std::ptrdiff_t>(fuzz::item_sizes[static_cast<std::size_t>(tail.type)]);
  tail.data =
      static_cast<const unsigned char*>(tail.data) + static_cast<std::ptrdiff_t>(head.n_rows) * tail.row_stride * item;
  hbm_fast::SufficientStatistics first(n_categories);
  hbm_fast::SufficientStatistics second(n_categories);
  first.add(head);
  second.add(tail);
  first.merge(second);
  for (std::size_t k = 0; k < n_categories; ++k) {
    const auto merged = first.exceedances(k);
    const auto whole = stats.exceedances(k);
    REQUIRE(std::equal(merged.begin(), merged.end(), whole.begin(), whole.end()));
  }
  return 0;
}
