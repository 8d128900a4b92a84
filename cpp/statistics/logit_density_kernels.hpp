// The kernel of the density of two categories.
#pragma once

#include <cstddef>

#include "core/dispatch.hpp"

namespace hbm_fast {

// logit_density of n_points on one thread; slope may be null.
using LogitKernel = void(const double* tables, std::size_t n, const double* concentration, const double* t,
                         const double* u, std::size_t n_points, double* value, double* slope);

HBM_KERNEL(LogitKernel, logit_block)

}  // namespace hbm_fast
