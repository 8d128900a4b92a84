// The kernel of the normal distribution's tails.
#pragma once

#include <cstddef>

#include "core/dispatch.hpp"

namespace hbm_fast {

// The logs of Phi(z) and Phi(-z) of n numbers.
using TailsKernel = void(const double* z, std::size_t n, double* lower, double* upper);

HBM_KERNEL(TailsKernel, tails_block)

}  // namespace hbm_fast
