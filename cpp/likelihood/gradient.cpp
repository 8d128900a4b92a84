// The gradient of the log pmf: differences of digamma functions of all non-zero counts, many rows at once; where two of
// them cancel, or a concentration is extreme, by exact_slope. The values come from log_pmf, which has refused
// bad rows before.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "likelihood/exact.hpp"
#include "likelihood/log_pmf.hpp"
#include "likelihood/rows.hpp"
#include "math/special.hpp"
#include "math/sum.hpp"

namespace hbm_fast {
namespace {

// Two differences of digammas that leave less than this share of the first have lost too many digits.
constexpr double least_left = 0.01;

// The concentrations of one row.
class RowConcentrations {
 public:
  RowConcentrations(const double* a, std::ptrdiff_t stride, std::size_t n) : a_(a), stride_(stride), n_(n) {
    double plain = 0.0;
    for (std::size_t k = 0; k < n; ++k) plain += at(k);
    is_far_ = !(plain <= largest_concentration_sum);
    sum_ = sum_without(n);
  }

  // sum_{j < x} 1/(a_k + j) - sum_{j < total} 1/(A + j), A the sum of all concentrations; x > 0.
  double exact_slope(std::size_t k, double x, double total) const {
    const double a = at(k);
    if (a == 0.0) return std::numeric_limits<double>::infinity();
    const double rest = total - x;
    const double scaled = a * scale();
    ExactSum others = sum_;
    if (scaled > 0.5 * sum_.high) {  // all but few digits of the sum are its own
      others = sum_without(k);
    } else {
      others.add(-scaled);
    }
    if (is_far_) {
      if (a < power_from) return digamma_difference(a, x) - total / sum_.high * concentration_scale;
      return excess(others, x, scaled, rest) / scaled / sum_.high * concentration_scale;
    }
    const double r = others.high;
    if (rest == 0.0) return digamma_shift(a, r, x);
    if (a < 8.0) return digamma_shift(a, r, x) - digamma_difference(a + r + x, rest);
    return difference_of_series(others, a, x, total);
  }

  // -sum_{j < total} 1/(A + j): the slope of a category without counts
  double slope_without_counts(double total) const {
    if (total == 0.0) return 0.0;
    return is_far_ ? -(total / sum_.high * concentration_scale) : -digamma_difference(sum_.high, total);
  }

 private:
  double at(std::size_t k) const { return a_[static_cast<std::ptrdiff_t>(k) * stride_]; }
  double scale() const { return is_far_ ? concentration_scale : 1.0; }

  ExactSum sum_without(std::size_t k) const {
    ExactSum sum;
    for (std::size_t l = 0; l < n_; ++l) {
      if (l != k) sum.add(at(l) * scale());
    }
    return {sum.high + sum.low, (sum.high - (sum.high + sum.low)) + sum.low};
  }

  // x A - a M = x r - a m, r the sum of the others and m = M - x
  static double excess(const ExactSum& others, double x, double a, double rest) {
    return difference_of_products(x, others.high, a, rest) + x * others.low;
  }

  // For a from 8 on: the series of digamma (DLMF 5.11.2) of the four arguments, subtracted part by part.
  static double difference_of_series(const ExactSum& others, double a, double x, double total) {
    const double r = others.high;
    const double sum = a + r;
    const double rest = total - x;
    const double relative = excess(others, x, a, rest) / a;  // x A / a - M
    const double ratio = relative / (sum + total);           // (1 + x/a) / (1 + M/A) - 1
    const double logs = ratio > -0.5 ? std::log1p(ratio) : std::log1p(x / a) - std::log1p(total / sum);
    const double halves = 0.5 / (a + x) * (total / (sum + total) * ((r + rest) / sum) + relative / sum);
    const double tails = (digamma_tail(a) - digamma_tail(a + x)) - (digamma_tail(sum) - digamma_tail(sum + total));
    return logs + halves + tails;
  }

  const double* a_;
  std::ptrdiff_t stride_;
  std::size_t n_;
  bool is_far_ = false;
  ExactSum sum_;  // of all, times the scale
};

// One thread's rows, gathered: of each its non-zero counts, then its total.
class GradientRows {
 public:
  GradientRows(std::size_t n_categories, double* gradient)
      : n_categories_(n_categories),
        gradient_(gradient),
        kernels_(likelihood_kernels()),
        size_(RowBlocks::places_for(n_categories)) {
    value_ = std::make_unique_for_overwrite<std::uint64_t[]>(size_);
    where_ = std::make_unique_for_overwrite<std::uint32_t[]>(size_);
    for (auto* part : {&counts_, &concentration_, &slopes_}) *part = std::make_unique_for_overwrite<double[]>(size_);
  }

  template <class T>
  void push(std::size_t row, const T* x, std::ptrdiff_t x_stride, const double* a, std::ptrdiff_t a_stride) {
    std::uint64_t* const value = value_.get() + n_;
    std::uint32_t* const where = where_.get() + n_;
    const std::size_t n = positive_counts(kernels_, x, x_stride, n_categories_, where, value);
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < n; ++i) {
      total += value[i];
      counts_[n_ + i] = static_cast<double>(value[i]);
      concentration_[n_ + i] = a[static_cast<std::ptrdiff_t>(where[i]) * a_stride];
    }
    if (a != last_) {
      last_ = a;
      sum_ = sum_of_four(a, a_stride, n_categories_);  // log_pmf has checked them
    }
    counts_[n_ + n] = static_cast<double>(total);
    concentration_[n_ + n] = sum_;
    n_ += n + 1;
    first_[rows_] = a;
    stride_ = a_stride;
    row_[rows_++] = row;
    end_[rows_] = n_;
    if (rows_ == lane_count || n_ + n_categories_ + 1 > size_) flush();
  }

  void flush() {
    kernels_.digamma_difference(concentration_.get(), counts_.get(), n_, slopes_.get());
    for (std::size_t r = 0; r < rows_; ++r) {
      const std::size_t last = end_[r + 1] - 1;
      const double total = counts_[last];
      double* const out = gradient_ + row_[r] * n_categories_;
      const bool is_plain = total == 0.0 || in_vector_range(concentration_[last]);
      const double shared = total == 0.0 ? 0.0 : slopes_[last];
      bool needs_exact = !is_plain;
      std::fill_n(out, n_categories_, 0.0 - shared);
      for (std::size_t i = end_[r]; i < last; ++i) {
        const double slope = slopes_[i] - shared;
        out[where_[i]] = slope;
        needs_exact |= !(std::abs(slope) >= least_left * slopes_[i]) || !in_vector_range(concentration_[i]);
      }
      if (needs_exact) exactly(r, is_plain, out);
    }
    n_ = rows_ = 0;
  }

 private:
  // One row again, where the loops have lost digits.
  void exactly(std::size_t r, bool is_plain, double* out) const {
    const RowConcentrations row(first_[r], stride_, n_categories_);
    const std::size_t last = end_[r + 1] - 1;
    const double total = counts_[last];
    if (!is_plain) std::fill_n(out, n_categories_, row.slope_without_counts(total));
    for (std::size_t i = end_[r]; i < last; ++i) {
      const bool is_exact =
          is_plain && in_vector_range(concentration_[i]) && std::abs(out[where_[i]]) >= least_left * slopes_[i];
      if (!is_exact) out[where_[i]] = row.exact_slope(where_[i], counts_[i], total);
    }
  }

  std::size_t n_categories_;
  double* gradient_;
  const LikelihoodKernels& kernels_;
  std::size_t size_;
  std::unique_ptr<std::uint64_t[]> value_;
  std::unique_ptr<std::uint32_t[]> where_;
  std::unique_ptr<double[]> counts_, concentration_, slopes_;
  std::size_t n_ = 0;
  std::size_t rows_ = 0;
  std::size_t end_[lane_count + 1] = {};
  std::size_t row_[lane_count];
  const double* first_[lane_count];  // the concentrations of each row
  std::ptrdiff_t stride_ = 1;
  const double* last_ = nullptr;  // the concentration last read: often one for all rows
  double sum_ = 0.0;
};

}  // namespace

void log_pmf_gradient(const Rows& rows, bool coefficient, double* out, double* gradient, int n_threads,
                      const Poll& poll) {
  log_pmf(rows, coefficient, out, n_threads, poll);
  const std::size_t k_n = rows.counts.n_categories;
  visit(rows.counts, [&](auto table) {
    parallel_for(
        rows.size(), rows_per_chunk(rows.size(), k_n), n_threads,
        [&](std::size_t begin, std::size_t end) {
          GradientRows gathered(k_n, gradient);
          for_each_row(rows, begin, end, [&](std::size_t n, std::ptrdiff_t x, std::ptrdiff_t a) {
            gathered.push(n, table.data + x, table.category_stride, rows.concentration + a,
                          rows.concentration_category_stride);
          });
          gathered.flush();
        },
        poll);
  });
}

}  // namespace hbm_fast
