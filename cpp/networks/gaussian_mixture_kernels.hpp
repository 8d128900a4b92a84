// The kernel of the mixture's density.
#pragma once

#include <cstddef>

#include "core/dispatch.hpp"
#include "core/limits.hpp"

namespace hbm_fast {

// One mixture; see MixtureView and mixture_log_density.
struct MixtureBlock {
  std::size_t n_components, dim, n_lower;
  const float *mean, *lower, *constant, *scale;
};

// z (n, D), n at most lane_count; scratch of (C + 2 D) * lane_count.
using MixtureKernel = void(const MixtureBlock&, const float* z, std::size_t n, double* scratch, double* out);

HBM_KERNEL(MixtureKernel, mixture_block)

}  // namespace hbm_fast
