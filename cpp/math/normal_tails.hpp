// Both tails of the standard normal distribution on the log scale: the map from the coordinates in which the prior is
// N(0, 1).
#pragma once

#include <cstddef>

#include "core/parallel.hpp"

namespace hbm_fast {

// lower[i * out_stride] = log Phi(z[i * stride]) and upper = log Phi(-z); |z| is held within 37.5. Both come from the
// smaller tail, so that each keeps its digits. NaN gives NaN.
template <class T>  // float or double
void normal_tails(const T* z, std::ptrdiff_t stride, std::size_t n, double* lower, double* upper,
                  std::ptrdiff_t out_stride, int n_threads, const Poll& poll);

}  // namespace hbm_fast
