#include "shared_rows.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "hbm_fast/special.hpp"

namespace hbm_fast {
namespace {

constexpr unsigned log_narrowest = 4;  // counts from here on suit log_choose_known
constexpr unsigned log_widest = 8;
constexpr double table_elements = 32768.0;  // a table that stays in the second-level cache

}  // namespace

SharedConcentration::SharedConcentration(const double* a_in, std::ptrdiff_t a_stride, std::size_t n_categories, std::size_t n_rows,
                                         double n_positive, bool with_coefficient)
    : coefficient(with_coefficient), a(n_categories), log_gamma(n_categories), sum(RowBlocks::sum_of(a_in, a_stride, n_categories).sum) {
  const LikelihoodKernels& kernels = likelihood_kernels();
  const double* const inverses = Factorials::get().inverses();
  for (std::size_t k = 0; k < n_categories; ++k) a[k] = a_in[static_cast<std::ptrdiff_t>(k) * a_stride];
  largest = n_categories == 0 ? 0.0 : *std::max_element(a.begin(), a.end());
  const double pays = std::min(n_positive / 8.0, table_elements);
  log_width = log_narrowest;
  while (log_width < log_widest && static_cast<double>((n_categories << log_width) * 2) <= pays) ++log_width;
  const std::size_t width = std::size_t{1} << log_width;
  const std::size_t n_totals = std::max(width, std::min<std::size_t>(4096, n_rows / 4));
  table.assign(n_categories * width, 0.0);
  of_totals.assign(n_totals, 0.0);

  std::vector<double> counts(n_totals), repeated(n_totals);
  for (std::size_t x = 0; x < n_totals; ++x) counts[x] = static_cast<double>(x);
  const auto fill = [&](double concentration, std::size_t from, std::size_t to, double* out) {
    const std::size_t n = to - from;
    std::fill_n(repeated.begin(), n, concentration);
    if (coefficient) {
      kernels.log_choose(repeated.data(), counts.data() + from, n, inverses, out + from);
    } else {
      kernels.log_rising(repeated.data(), counts.data() + from, n, out + from);
    }
  };
  // entry 0 stays 0: no count, no factor
  const std::size_t products = std::min<std::size_t>(width, 32);
  const std::vector<double> ones(products, 1.0);
  kernels.log_rising_table(a.data(), n_categories, coefficient ? inverses : ones.data(), products, width, table.data());
  kernels.log_gamma(a.data(), n_categories, log_gamma.data());
  for (std::size_t k = 0; k < n_categories; ++k) {
    double* const entries = table.data() + k * width;
    if (!(a[k] >= smallest_vector_concentration && a[k] <= largest_vector_concentration)) {  // such rows are done with care
      std::fill(entries + 1, entries + width, std::numeric_limits<double>::quiet_NaN());
      log_gamma[k] = std::numeric_limits<double>::quiet_NaN();
    } else if (a[k] > largest_short_product) {
      fill(a[k], 1, width, entries);
    } else if (width > products) {
      fill(a[k], products, width, entries);
    }
  }
  if (sum >= smallest_vector_concentration && sum <= largest_vector_concentration) {
    fill(sum, 1, n_totals, of_totals.data());
  } else {
    std::fill(of_totals.begin() + 1, of_totals.end(), std::numeric_limits<double>::quiet_NaN());
  }
}

SharedRows::SharedRows(const SharedConcentration& shared, double* out)
    : shared_(shared), out_(out), kernels_(likelihood_kernels()), factorials_(Factorials::get()),
      size_(RowBlocks::places_for(shared.a.size())) {
  // not set to 0: that took longer than a chunk of sparse rows
  where_ = std::make_unique_for_overwrite<std::uint32_t[]>(shared.a.size() + 1);
  value_ = std::make_unique_for_overwrite<std::uint64_t[]>(shared.a.size() + 1);
  for (auto* part : {&category_, &large_}) *part = std::make_unique_for_overwrite<std::uint32_t[]>(size_);
  for (auto* part : {&count_, &concentration_, &log_gamma_, &term_, &large_count_, &large_term_}) *part = std::make_unique_for_overwrite<double[]>(size_);
}

// The terms of the counts that the table does not hold.
void SharedRows::evaluate_beyond(std::size_t n) {
  for (std::size_t j = 0; j < n; ++j) {
    concentration_[j] = shared_.a[category_[j]];
    log_gamma_[j] = shared_.log_gamma[category_[j]];
  }
  std::size_t n_large = 0;
  for (std::size_t j = 0; j < n && shared_.largest > largest_ratio_concentration; ++j) {
    large_[n_large] = static_cast<std::uint32_t>(j);
    n_large += concentration_[j] > largest_ratio_concentration ? 1 : 0;
  }
  kernels_.log_choose_ratio(concentration_.get(), count_.get(), log_gamma_.get(), n, term_.get());
  // the large concentrations, side by side where the others were: those are done
  for (std::size_t i = 0; i < n_large; ++i) {
    const std::size_t j = large_[i];
    const double a = concentration_[j];
    const double x = count_[j];
    log_gamma_[i] = a > x + 1.0 ? factorials_.log_factorial(x) : log_gamma_[j];
    concentration_[i] = a;
    large_count_[i] = x;
  }
  kernels_.log_choose_known(concentration_.get(), large_count_.get(), log_gamma_.get(), n_large, large_term_.get());
  for (std::size_t i = 0; i < n_large; ++i) term_[large_[i]] = large_term_[i];
  for (std::size_t j = 0; j < n && !shared_.coefficient; ++j) term_[j] += factorials_.log_factorial(count_[j]);
}

void SharedRows::evaluate() {
  evaluate_beyond(first_beyond_[rows_]);
  // totals beyond the table; rows of one total, which many tables have, share the work
  double large_total[lanes], sums[lanes], of_large_total[lanes];
  std::size_t which[lanes];
  std::size_t n_large = 0;
  for (std::size_t r = 0; r < rows_; ++r) {
    const std::uint64_t total = row_[r].total;
    if (total < shared_.of_totals.size()) continue;
    const auto value = static_cast<double>(total);
    if (n_large == 0 || large_total[n_large - 1] != value) {
      sums[n_large] = shared_.sum;
      large_total[n_large++] = value;
    }
    which[r] = n_large - 1;
  }
  kernels_.log_choose(sums, large_total, n_large, factorials_.inverses(), of_large_total);
  for (std::size_t i = 0; i < n_large && !shared_.coefficient; ++i) of_large_total[i] += factorials_.log_factorial(large_total[i]);

  const bool sum_fits = shared_.sum <= largest_vector_concentration;
  for (std::size_t r = 0; r < rows_; ++r) {
    const Row& row = row_[r];
    double sum = 0.0;
    double absolute = 0.0;
    for (std::size_t j = first_beyond_[r]; j < first_beyond_[r + 1]; ++j) {
      sum += term_[j];
      absolute += std::abs(term_[j]);
    }
    const double of_total = row.total < shared_.of_totals.size() ? shared_.of_totals[row.total] : of_large_total[which[r]];
    const double value = (row.sum + sum) - of_total;
    out_[row.number] = value;
    // counts from 2^32 on might wrap a total
    const bool done = sum_fits && (row.any >> 32) == 0 && row.total <= largest_row_total &&
                      (row.any == 0 || is_exact(value, row.absolute + absolute + std::abs(of_total), row.n_terms));
    if (!done) refused_.push_back(row.number);
  }
  rows_ = 0;
}

}  // namespace hbm_fast
