#include "row_blocks.hpp"

#include <algorithm>

#include "hbm_fast/special.hpp"

namespace hbm_fast {
namespace {

// Rounding of the terms, in units of their absolute sum, and the relative error that is promised.
constexpr double rounding = 2.3e-16;
constexpr double promised = 1e-13;

}  // namespace

Factorials::Factorials() : logs_(n_logs), choose_((lanes + 1) * (lanes + 2) / 2) {
  for (std::size_t n = 0; n < n_logs; ++n) logs_[n] = log_factorial(static_cast<double>(n));
  for (int n = 0; n <= lanes; ++n) {
    for (int x = 0; x <= n; ++x) {
      // the last sum is rounded once: everything below 2^53 is exact, and little more is added above
      choose_[static_cast<std::size_t>(n * (n + 1) / 2 + x)] = x == 0 || x == n ? 1.0 : choose(n - 1, x - 1) + choose(n - 1, x);
    }
  }
}

const Factorials& Factorials::get() {
  static const Factorials factorials;
  return factorials;
}

RowBlocks::RowBlocks(std::size_t n_categories, bool coefficient, double* out)
    : n_categories_(n_categories), coefficient_(coefficient), out_(out), kernels_(likelihood_kernels()), factorials_(Factorials::get()) {
  const std::size_t size = std::max(block_elements, n_categories) + n_categories + 1;
  counts_.resize(size);
  concentration_.resize(size);
  terms_.resize(size);
  log_factorials_.resize(size);
}

void RowBlocks::read_concentration(const double* a, std::ptrdiff_t a_stride) {
  double sum = 0.0;
  double smallest = std::numeric_limits<double>::infinity();
  double largest = 0.0;
  if (a_stride == 1) {
#pragma omp simd reduction(+ : sum) reduction(min : smallest) reduction(max : largest)
    for (std::size_t k = 0; k < n_categories_; ++k) {
      sum += a[k];
      smallest = a[k] < smallest ? a[k] : smallest;
      largest = a[k] > largest ? a[k] : largest;
    }
  } else {
    for (std::size_t k = 0; k < n_categories_; ++k) {
      const double value = a[static_cast<std::ptrdiff_t>(k) * a_stride];
      sum += value;
      smallest = value < smallest ? value : smallest;
      largest = value > largest ? value : largest;
    }
  }
  if (!(smallest >= 0.0) || !(sum <= std::numeric_limits<double>::max())) {
    for (std::size_t k = 0; k < n_categories_; ++k) {
      const double value = a[static_cast<std::ptrdiff_t>(k) * a_stride];
      if (!(value >= 0.0 && value <= std::numeric_limits<double>::max())) {
        throw std::invalid_argument("concentration must be non-negative and finite");
      }
    }
  }
  last_ = a;
  last_sum_ = sum;
  last_plain_ = smallest >= smallest_vector_concentration && sum <= largest_vector_concentration;
}

void RowBlocks::evaluate() {
  if (two_.n > 0) evaluate_two();
  if (one_.n > 0) evaluate_one();
  if (rows_ > 0) evaluate_rows();
}

void RowBlocks::evaluate_two() {
  two_.pad();
  kernels_.two_categories(two_.a, two_.b, two_.x, two_.total, two_.largest, two_.value);
  double pmf[lanes];
  for (int i = 0; i < two_.n; ++i) {
    const auto n = static_cast<int>(two_.total[i]);
    pmf[i] = two_.value[i] * (coefficient_ ? factorials_.choose(n, static_cast<int>(two_.x[i])) : 1.0);
  }
  kernels_.log(pmf, static_cast<std::size_t>(two_.n), two_.value);
  for (int i = 0; i < two_.n; ++i) {
    out_[two_.row[i]] = two_.value[i];
    if (!(pmf[i] > 1e-280)) refused_.push_back(two_.row[i]);
  }
  two_.clear();
}

void RowBlocks::evaluate_one() {
  one_.pad();
  double excess[lanes];
  kernels_.one_category(one_.a, one_.b, one_.total, one_.largest, excess);
  kernels_.log1p(excess, static_cast<std::size_t>(one_.n), one_.value);
  for (int i = 0; i < one_.n; ++i) {
    out_[one_.row[i]] = 0.0 - one_.value[i];  // never -0
    if (!(excess[i] < 1e280)) refused_.push_back(one_.row[i]);
  }
  one_.clear();
}

void RowBlocks::evaluate_rows() {
  first_[rows_] = n_;
  double of_sums[lanes];
  double log_total_factorials[lanes];
  kernels_.log_rising(concentration_.data(), counts_.data(), n_, terms_.data());
  kernels_.log_rising(sum_, total_, rows_, of_sums);
  const double* const logs = factorials_.logs();
  const auto n_logs = static_cast<double>(Factorials::n_logs);
  if (largest_count_ < n_logs) {
    for (std::size_t i = 0; i < n_; ++i) log_factorials_[i] = logs[static_cast<std::int32_t>(counts_[i])];
  } else {
    std::fill_n(concentration_.begin(), n_, 1.0);
    kernels_.log_rising(concentration_.data(), counts_.data(), n_, log_factorials_.data());
  }
  for (std::size_t r = 0; r < rows_; ++r) {
    log_total_factorials[r] = total_[r] < n_logs ? logs[static_cast<std::int32_t>(total_[r])] : log_factorial(total_[r]);
  }
  for (std::size_t r = 0; r < rows_; ++r) {
    double terms = 0.0;
    double factorials = 0.0;
    const std::size_t begin = first_[r];
    const std::size_t end = first_[r + 1];
#pragma omp simd reduction(+ : terms, factorials)
    for (std::size_t i = begin; i < end; ++i) {
      terms += terms_[i];
      factorials += log_factorials_[i];
    }
    const double ordered = terms - of_sums[r];
    const double value = coefficient_ ? ordered + (log_total_factorials[r] - factorials) : ordered;
    out_[row_[r]] = value;
    // terms of both signs: what they add up to before they cancel, and what their rounding may leave
    const double absolute = std::abs(terms) + std::abs(of_sums[r]) + (coefficient_ ? log_total_factorials[r] + factorials : 0.0);
    if (!(absolute * rounding <= promised * std::abs(value))) refused_.push_back(row_[r]);
  }
  n_ = rows_ = 0;
  largest_count_ = 0.0;
}

}  // namespace hbm_fast
