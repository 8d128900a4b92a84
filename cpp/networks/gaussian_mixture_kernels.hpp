// What the levels of the mixture's density compute.
#pragma once

#include <cstddef>

#include "core/dispatch.hpp"

namespace hbm_fast {

constexpr std::size_t mixture_width = 64;

// One mixture; see MixtureView and mixture_log_density.
struct MixtureBlock {
  std::size_t n_components, dim, n_lower;
  const float *mean, *lower, *constant, *scale;
};

// z (n, D), n at most mixture_width; scratch of (C + 2 D) * mixture_width.
using MixtureKernel = void(const MixtureBlock&, const float* z, std::size_t n, double* scratch, double* out);

HBM_KERNEL(MixtureKernel, mixture_block)

}  // namespace hbm_fast
