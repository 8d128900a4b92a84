// The gradient of the log pmf: differences of digamma functions of all non-zero counts, many rows at once. The values come
// from log_pmf, which has refused bad rows before.
#include <algorithm>
#include <memory>

#include "hbm_fast/dirichlet_multinomial.hpp"
#include "hbm_fast/special.hpp"
#include "row_runs.hpp"

namespace hbm_fast {
namespace {

// Without the checks of RowBlocks::sum_of, which log_pmf has made: they took a tenth of a row of two categories.
double sum_of(const double* a, std::ptrdiff_t stride, std::size_t n) {
  double sum[4] = {};  // a single chain of sums waits for itself
  std::size_t k = 0;
  for (; k + 4 <= n; k += 4, a += 4 * stride) {
    for (int l = 0; l < 4; ++l) sum[l] += a[l * stride];
  }
  for (; k < n; ++k, a += stride) sum[0] += *a;
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

// One thread's rows, gathered: of each its non-zero counts, then its total.
class GradientRows {
 public:
  GradientRows(std::size_t n_categories, double* gradient)
      : n_categories_(n_categories), gradient_(gradient), kernels_(likelihood_kernels()), size_(RowBlocks::places_for(n_categories)) {
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
      sum_ = sum_of(a, a_stride, n_categories_);
    }
    counts_[n_ + n] = static_cast<double>(total);
    concentration_[n_ + n] = sum_;
    n_ += n + 1;
    row_[rows_++] = row;
    end_[rows_] = n_;
    if (rows_ == lanes || n_ + n_categories_ + 1 > size_) flush();
  }

  void flush() {
    kernels_.digamma_difference(concentration_.get(), counts_.get(), n_, slopes_.get());
    for (std::size_t i = 0; i < n_; ++i) {
      const double a = concentration_[i];
      if (a >= smallest_vector_concentration && a <= largest_vector_concentration) continue;
      slopes_[i] = digamma_difference(a, counts_[i]);
    }
    for (std::size_t r = 0; r < rows_; ++r) {
      const std::size_t last = end_[r + 1] - 1;
      const double shared = counts_[last] == 0.0 ? 0.0 : slopes_[last];
      double* const out = gradient_ + row_[r] * n_categories_;
      std::fill_n(out, n_categories_, 0.0 - shared);
      for (std::size_t i = end_[r]; i < last; ++i) out[where_[i]] = slopes_[i] - shared;
    }
    n_ = rows_ = 0;
  }

 private:
  std::size_t n_categories_;
  double* gradient_;
  const LikelihoodKernels& kernels_;
  std::size_t size_;
  std::unique_ptr<std::uint64_t[]> value_;
  std::unique_ptr<std::uint32_t[]> where_;
  std::unique_ptr<double[]> counts_, concentration_, slopes_;
  std::size_t n_ = 0;
  std::size_t rows_ = 0;
  std::size_t end_[lanes + 1] = {};
  std::size_t row_[lanes];
  const double* last_ = nullptr;  // the concentration last read: often one for all rows
  double sum_ = 0.0;
};

}  // namespace

void log_pmf_gradient(const Rows& rows, bool coefficient, double* out, double* gradient, int n_threads, const Poll& poll) {
  log_pmf(rows, coefficient, out, n_threads, poll);
  const std::size_t k_n = rows.counts.n_categories;
  visit(rows.counts, [&](auto table) {
    parallel_for(rows.size(), rows_per_chunk(rows.size(), k_n), n_threads, [&](std::size_t begin, std::size_t end) {
      GradientRows gathered(k_n, gradient);
      for_each_row(rows, begin, end, [&](std::size_t n, std::ptrdiff_t x, std::ptrdiff_t a) {
        gathered.push(n, table.data + x, table.category_stride, rows.concentration + a, rows.concentration_category_stride);
      });
      gathered.flush();
    }, poll);
  });
}

}  // namespace hbm_fast
