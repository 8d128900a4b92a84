#include "likelihood/lookup.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "math/special.hpp"

namespace hbm_fast {
namespace {

constexpr std::size_t narrowest = 16;       // counts from here on suit log_choose_known and log_choose_ratio
constexpr std::size_t widest = 256;         // larger counts are too rare to repay their column
constexpr double table_elements = 32768.0;  // 256 KiB: the lookup stays in the second-level cache

}  // namespace

SharedConcentration::SharedConcentration(const double* a_in, std::ptrdiff_t a_stride, std::size_t n_categories,
                                         std::size_t n_rows, double n_positive, bool with_coefficient)
    : coefficient(with_coefficient),
      a(n_categories),
      log_gamma(n_categories),
      sum_min(RowBlocks::sum_of(a_in, a_stride, n_categories)) {
  const LikelihoodKernels& kernels = likelihood_kernels();
  const double* const inverses = Factorials::get().inverses();
  for (std::size_t k = 0; k < n_categories; ++k) a[k] = a_in[static_cast<std::ptrdiff_t>(k) * a_stride];
  largest = n_categories == 0 ? 0.0 : *std::max_element(a.begin(), a.end());
  const double pays = std::min(n_positive / 8.0, table_elements);
  width = narrowest;
  while (width < widest && static_cast<double>(n_categories * width * 2) <= pays) width *= 2;
  const std::size_t n_totals = std::max(width, std::min<std::size_t>(4096, n_rows / 4));
  table = std::make_unique_for_overwrite<double[]>(n_categories * width);
  std::fill_n(table.get(), n_categories, 0.0);  // row 0: no count, no factor
  total_terms.assign(n_totals, 0.0);

  const auto fill = [&](const double* concentrations, const double* counts, std::size_t n, double* out) {
    if (coefficient) {
      kernels.log_choose(concentrations, counts, n, inverses, out);
    } else {
      kernels.log_rising(concentrations, counts, n, out);
    }
  };
  const std::size_t products = std::min<std::size_t>(width, 32);
  const std::vector<double> ones(products, 1.0);
  kernels.log_rising_table(a.data(), n_categories, coefficient ? inverses : ones.data(), products, table.get());
  std::vector<double> repeated(std::max(n_categories, n_totals));
  for (std::size_t x = products; x < width; ++x) {
    std::fill_n(repeated.begin(), n_categories, static_cast<double>(x));
    fill(a.data(), repeated.data(), n_categories, table.get() + x * n_categories);
  }
  kernels.log_gamma(a.data(), n_categories, log_gamma.data());
  for (std::size_t k = 0; k < n_categories; ++k) {
    if (!in_vector_range(a[k])) {  // such rows are evaluated by the fallback
      for (std::size_t x = 1; x < width; ++x) table[x * n_categories + k] = std::numeric_limits<double>::quiet_NaN();
      log_gamma[k] = std::numeric_limits<double>::quiet_NaN();
    } else if (a[k] > largest_short_product) {
      for (std::size_t x = 1; x < products; ++x) {
        const auto count = static_cast<double>(x);
        fill(&a[k], &count, 1, &table[x * n_categories + k]);
      }
    }
  }
  const double sum = sum_min.sum;
  if (in_vector_range(sum)) {
    std::vector<double> counts(n_totals);
    for (std::size_t x = 0; x < n_totals; ++x) counts[x] = static_cast<double>(x);
    std::fill_n(repeated.begin(), n_totals, sum);
    fill(repeated.data() + 1, counts.data() + 1, n_totals - 1, total_terms.data() + 1);
  } else {
    std::fill(total_terms.begin() + 1, total_terms.end(), std::numeric_limits<double>::quiet_NaN());
  }
}

SharedRows::SharedRows(const SharedConcentration& shared, double* out)
    : shared_(shared),
      out_(out),
      kernels_(likelihood_kernels()),
      factorials_(Factorials::get()),
      size_(RowBlocks::places_for(shared.a.size())) {
  // left uninitialised: zeroing took longer than a chunk of sparse rows
  for (auto* part : {&category_, &place_}) *part = std::make_unique_for_overwrite<std::uint32_t[]>(size_);
  count_ = std::make_unique_for_overwrite<std::uint64_t[]>(size_ + row_step);
  term_ = std::make_unique_for_overwrite<double[]>(size_ + row_step);
  for (auto* part : {&concentration_, &large_count_, &log_gamma_, &value_})
    *part = std::make_unique_for_overwrite<double[]>(size_);
}

// The terms of the counts that the table does not hold.
void SharedRows::work_out() {
  const std::size_t n = n_beyond_;
  for (std::size_t j = 0; j < n; ++j) {
    concentration_[j] = shared_.a[category_[j]];
    log_gamma_[j] = shared_.log_gamma[category_[j]];
    large_count_[j] = static_cast<double>(static_cast<std::int64_t>(count_[place_[j]]));
  }
  kernels_.log_choose_ratio(concentration_.get(), large_count_.get(), log_gamma_.get(), n, value_.get());
  for (std::size_t j = 0; j < n; ++j) term_[place_[j]] = value_[j];
  if (shared_.largest > largest_ratio_concentration) {
    std::size_t n_large = 0;  // the large concentrations, side by side where all were
    for (std::size_t j = 0; j < n; ++j) {
      const double a = concentration_[j];
      const double x = large_count_[j];
      log_gamma_[n_large] = a > x + 1.0 ? factorials_.log_factorial(x) : log_gamma_[j];
      concentration_[n_large] = a;
      large_count_[n_large] = x;
      category_[n_large] = place_[j];
      n_large += a > largest_ratio_concentration ? 1 : 0;
    }
    kernels_.log_choose_known(concentration_.get(), large_count_.get(), log_gamma_.get(), n_large, value_.get());
    for (std::size_t j = 0; j < n_large; ++j) term_[category_[j]] = value_[j];
  }
  for (std::size_t j = 0; j < n && !shared_.coefficient; ++j) {
    const std::uint32_t i = place_[j];
    term_[i] += factorials_.log_factorial(static_cast<double>(static_cast<std::int64_t>(count_[i])));
  }
}

void SharedRows::evaluate() {
  look_up_pushed();
  if (any_ >
      largest_exact_integer) {  // a bad count, perhaps: its row is refused below, and no table may be read with it
    for (std::size_t i = 0; i < n_looked_up_; ++i) count_[i] = std::min(count_[i], largest_exact_integer + 1);
  }
  work_out();
  std::fill_n(term_.get() + n_looked_up_, row_step, 0.0);
  std::fill_n(count_.get() + n_looked_up_, row_step, std::uint64_t{0});
  RowSums sums[lane_count];
  kernels_.row_sums(term_.get(), count_.get(), first_, rows_, sums);
  // totals beyond the table; rows of one total, which many data have, are evaluated once
  double large_total[lane_count], concentrations[lane_count], of_large_total[lane_count];
  std::size_t which[lane_count];
  std::size_t n_large = 0;
  for (std::size_t r = 0; r < rows_; ++r) {
    const std::uint64_t total = sums[r].total;
    if (total < shared_.total_terms.size()) continue;
    const auto value = static_cast<double>(total);
    if (n_large == 0 || large_total[n_large - 1] != value) {
      concentrations[n_large] = shared_.sum_min.sum;
      large_total[n_large++] = value;
    }
    which[r] = n_large - 1;
  }
  kernels_.log_choose(concentrations, large_total, n_large, factorials_.inverses(), of_large_total);
  for (std::size_t i = 0; i < n_large && !shared_.coefficient; ++i)
    of_large_total[i] += factorials_.log_factorial(large_total[i]);

  // counts from 2^32 on might wrap a total
  const bool all_fit = shared_.sum_min.sum <= largest_vector_concentration && (any_ >> 32) == 0;
  for (std::size_t r = 0; r < rows_; ++r) {
    const RowSums& row = sums[r];
    const double of_total =
        row.total < shared_.total_terms.size() ? shared_.total_terms[row.total] : of_large_total[which[r]];
    const double value = row.sum - of_total;
    out_[row_[r]] = value;
    const auto n_terms = static_cast<double>(first_[r + 1] - first_[r]) + 1.0;
    const bool done = all_fit && row.total <= largest_exact_integer &&
                      (row.total == 0 || is_exact(value, row.absolute + std::abs(of_total), n_terms));
    if (!done) refused_.push_back(row_[r]);
  }
  rows_ = n_looked_up_ = n_beyond_ = 0;
  any_ = 0;
}

}  // namespace hbm_fast
