// Sums of doubles.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace hbm_fast {

// Four accumulators hide the latency of an addition; the order of the additions is part of a random stream's
// definition.
inline double sum_of_four(const double* x, std::ptrdiff_t stride, std::size_t n) {
  double sum[4] = {};
  std::size_t k = 0;
  for (; k + 4 <= n; k += 4, x += 4 * stride) {
    for (int l = 0; l < 4; ++l) sum[l] += x[l * stride];
  }
  for (; k < n; ++k, x += stride) sum[0] += *x;
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

inline double dot(const double* a, const double* b, std::size_t n) {
  double sum = 0.0;
  for (std::size_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}
inline double dot(const std::vector<double>& a, const std::vector<double>& b) {
  return dot(a.data(), b.data(), a.size());
}

// log(exp(x[0]) + ... + exp(x[n - 1])), n > 0.
inline double log_sum_exp(const double* x, std::size_t n) {
  const double largest = *std::max_element(x, x + n);
  double sum = 0.0;
  for (std::size_t i = 0; i < n; ++i) sum += std::exp(x[i] - largest);
  return largest + std::log(sum);
}
inline double log_sum_exp(const std::vector<double>& x) { return log_sum_exp(x.data(), x.size()); }

// A sum in twice the precision of a double.
struct ExactSum {
  double high = 0.0;
  double low = 0.0;  // what rounding took from the sum

  void add(double x) {
    const double sum = high + x;
    const double part = sum - high;
    low += (high - (sum - part)) + (x - part);
    high = sum;
  }
};

}  // namespace hbm_fast
