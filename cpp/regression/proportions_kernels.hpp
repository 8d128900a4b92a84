// The kernel of mean proportions and precisions.
#pragma once

#include <cstddef>

#include "core/dispatch.hpp"

namespace hbm_fast {

// predictors (K, n), category by category: replaced by their softmax. log_precision (n): replaced by its exponential,
// or, where `is_sum`, by the sum of the exponentials of the predictors. Beyond exp(700) the results are too small.
using ProportionsKernel = void(double* predictors, std::size_t n_rows, std::size_t n_categories, double* log_precision,
                               bool is_sum);

HBM_KERNEL(ProportionsKernel, proportions)

}  // namespace hbm_fast
