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
using LevelKernel = Expansion(const double* scale, const float* level, const float* weight, std::size_t n,
                              double alpha);

HBM_KERNEL(LevelKernel, sum_of_levels)

// Writes Binomial(weight_i, p_i), p_i = alpha scale_i / (alpha scale_i + level_i), 0 where weight_i < 0, by inversion
// of uniform_i, which is overwritten. n is a multiple of level_block, weights are whole and at most most_trials.
using BinomialKernel = void(const double* scale, const float* level, const float* weight, std::size_t n, double alpha,
                            double* uniform, double* successes);

constexpr double most_trials = 64.0;  // the probability of no success, or of no failure, is at least 2 to the power -64

HBM_KERNEL(BinomialKernel, binomials_of_levels)

}  // namespace hbm_fast
