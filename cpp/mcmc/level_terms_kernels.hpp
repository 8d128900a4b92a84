// The kernel of the likelihood of one dataset along log alpha, beta fixed.
#pragma once

#include <cstddef>

#include "core/dispatch.hpp"

namespace hbm_fast {

constexpr std::size_t level_block = 16;

// A function of log alpha and its first two derivatives.
struct Expansion {
  double value = 0.0;
  double slope = 0.0;
  double curvature = 0.0;
};

// sum_i weight_i log(alpha scale_i + level_i), n a multiple of level_block; every argument of a logarithm is at least 1
// and finite. All levels of instruction sets round alike.
using LevelKernel = Expansion(const double* scale, const double* level, const double* weight, std::size_t n,
                              double alpha);

HBM_KERNEL(LevelKernel, sum_of_levels)

}  // namespace hbm_fast
