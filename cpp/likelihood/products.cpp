#include "likelihood/products.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "math/special.hpp"

namespace hbm_fast {

Factorials::Factorials() : logs_(n_logs), choose_(64 * 32), ones_(64 * 32, 1.0) {
  for (std::size_t n = 0; n < n_logs; ++n) logs_[n] = hbm_fast::log_factorial(static_cast<double>(n));
  double factorial = 1.0;  // exact below 23!
  for (std::size_t n = 0; n < 32; ++n) {
    factorial *= n == 0 ? 1.0 : static_cast<double>(n);
    inverses_[n] = 1.0 / factorial;
  }
  for (std::size_t n = 0; n < 64; ++n) {
    for (std::size_t x = 0; x < 32 && x <= n; ++x) {
      // the last sum is rounded once: everything below 2^53 is exact, and little more is added above
      double& value = choose_[32 * n + x];
      if (x == 0 || x == n) {
        value = 1.0;
      } else {
        const double above = 2 * x > n && n - x < 32 ? choose_[32 * n + (n - x)] : choose_[32 * (n - 1) + x];
        value = 2 * x > n && n - x < 32 ? above : above + choose_[32 * (n - 1) + x - 1];
      }
    }
  }
}

double Factorials::log_factorial(double n) const {
  return n < static_cast<double>(n_logs) ? logs_[static_cast<std::size_t>(n)] : hbm_fast::log_factorial(n);
}

const Factorials& Factorials::get() {
  static const Factorials& factorials = *new Factorials;  // for ever: threads may still run when the process ends
  return factorials;
}

RowBlocks::RowBlocks(std::size_t n_categories, bool coefficient, double* out)
    : n_categories_(n_categories),
      coefficient_(coefficient),
      out_(out),
      kernels_(likelihood_kernels()),
      factorials_(Factorials::get()),
      size_(places_for(n_categories)) {
  // left uninitialised: zeroing costs per chunk
  counts_ = std::make_unique_for_overwrite<double[]>(size_);
  concentration_ = std::make_unique_for_overwrite<double[]>(size_);
  terms_ = std::make_unique_for_overwrite<double[]>(size_);
  if (!coefficient) log_factorials_ = std::make_unique_for_overwrite<double[]>(size_);
}

namespace {

// Four accumulators hide the latency of an addition.
template <class At>
SumMin add_up(std::size_t n, At&& at) {
  // as bits, whose minima the compiler finds without a detour: they are in order from 0 on, and a negative one is below
  constexpr auto infinity = std::bit_cast<std::int64_t>(std::numeric_limits<double>::infinity());
  double sum[4] = {};
  std::int64_t smallest[4] = {infinity, infinity, infinity, infinity};
  const auto take = [&](std::size_t k, std::size_t l) {
    const double value = at(k);
    sum[l] += value;
    smallest[l] = std::min(smallest[l], std::bit_cast<std::int64_t>(value));
  };
  std::size_t k = 0;
  for (; k + 4 <= n; k += 4) {
    for (std::size_t l = 0; l < 4; ++l) take(k + l, l);
  }
  if (k < n) take(k, 0);  // a loop over the chains would keep them in memory
  if (k + 1 < n) take(k + 1, 1);
  if (k + 2 < n) take(k + 2, 2);
  const auto least = std::min(std::min(smallest[0], smallest[1]), std::min(smallest[2], smallest[3]));
  return {(sum[0] + sum[1]) + (sum[2] + sum[3]), std::bit_cast<double>(least)};
}

}  // namespace

SumMin RowBlocks::sum_of(const double* a, std::ptrdiff_t a_stride, std::size_t n) {
  const auto [sum, smallest] =
      a_stride == 1 ? add_up(n, [=](std::size_t k) { return a[k]; })
                    : add_up(n, [=](std::size_t k) { return a[static_cast<std::ptrdiff_t>(k) * a_stride]; });
  if (!(smallest >= 0.0) || !(sum <= std::numeric_limits<double>::max())) {  // a NaN is in the sum
    for (std::size_t k = 0; k < n; ++k) {
      const double value = a[static_cast<std::ptrdiff_t>(k) * a_stride];
      if (!(value >= 0.0 && value <= std::numeric_limits<double>::max())) {
        throw std::invalid_argument("concentration must be non-negative and finite");
      }
    }
  }
  return {sum, smallest};
}

void RowBlocks::refuse_total(std::uint64_t total, bool is_signed) {
  if (is_signed && (total >> 63) != 0) throw std::invalid_argument("counts must not be negative");
  throw std::invalid_argument("a total of counts exceeds 2**53");
}

bool RowBlocks::push_pure(std::size_t row, double a, double others, double total) {
  const bool short_enough =
      (total < 32.0 && a + others <= largest_short_product) || (total < 64.0 && a + others <= largest_long_product);
  if (!short_enough || !(a >= smallest_vector_concentration)) return false;
  if (others < smallest_vector_concentration) {
    if (others > 0.0) return false;
    out_[row] = 0.0;
    return true;
  }
  add_pure(row, a, others, total);
  return true;
}

bool RowBlocks::close_row(std::size_t row, std::size_t n, std::uint64_t total, SumMin of_row) {
  if (n == 0) {
    out_[row] = 0.0;
    return true;
  }
  if (!(of_row.sum <= largest_vector_concentration)) return false;
  if (!(of_row.smallest >= smallest_vector_concentration)) {  // it matters only where there are counts
    for (std::size_t i = n_; i < n_ + n; ++i) {
      if (!(concentration_[i] >= smallest_vector_concentration)) return false;
    }
  }
  first_[rows_] = n_;
  row_[rows_] = row;
  total_[rows_] = static_cast<double>(total);
  sum_[rows_] = of_row.sum;
  ++rows_;
  n_ += n;
  return true;
}

void RowBlocks::evaluate() {
  if (pure_.n > 0) evaluate_pure();
  if (rows_ > 0) evaluate_rows();
}

void RowBlocks::evaluate_pure() {
  double excess[lane_count], value[lane_count];
  for (std::size_t i = pure_.n; i < lane_count; ++i) {
    pure_.a[i] = pure_.others[i] = 1.0;
    pure_.total[i] = 0.0;
  }
  kernels_.one_category(pure_.a, pure_.others, pure_.total, excess);
  kernels_.log1p(excess, lane_count, value);
  for (std::size_t i = 0; i < pure_.n; ++i) {
    out_[pure_.row[i]] = 0.0 - value[i];  // never -0
    if (!(excess[i] < 1e280)) refused_.push_back(pure_.row[i]);
  }
  pure_.n = 0;
}

void RowBlocks::evaluate_rows() {
  first_[rows_] = n_;
  double of_totals[lane_count];
  kernels_.log_choose(concentration_.get(), counts_.get(), n_, factorials_.inverses(), terms_.get());
  kernels_.log_choose(sum_, total_, rows_, factorials_.inverses(), of_totals);
  if (!coefficient_) {
    for (std::size_t i = 0; i < n_; ++i) log_factorials_[i] = factorials_.log_factorial(counts_[i]);
  }
  for (std::size_t r = 0; r < rows_; ++r) {
    double terms = 0.0;
    double absolute = std::abs(of_totals[r]);
    for (std::size_t i = first_[r]; i < first_[r + 1]; ++i) {
      terms += terms_[i];
      absolute += std::abs(terms_[i]);
    }
    double value = terms - of_totals[r];
    if (!coefficient_) {
      double factorials = 0.0;
      for (std::size_t i = first_[r]; i < first_[r + 1]; ++i) factorials += log_factorials_[i];
      const double of_total = factorials_.log_factorial(total_[r]);
      value -= of_total - factorials;
      absolute += of_total + factorials;
    }
    out_[row_[r]] = value;
    const auto n_terms = static_cast<double>(first_[r + 1] - first_[r] + 1);
    if (!is_exact(value, absolute, n_terms)) refused_.push_back(row_[r]);
  }
  n_ = rows_ = 0;
}

}  // namespace hbm_fast
