// Sums of doubles.
#pragma once

#include <cstddef>

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
