// Mixtures of Gaussians that a network puts out, one for each of many datasets: their density and their draws.
#pragma once

#include <cstddef>

#include "core/parallel.hpp"

namespace hbm_fast {

// B mixtures of C components in D dimensions, each by its whitening map y = diag(scale) L (z - mean), L unit lower
// triangular; `lower` holds what is below its diagonal, row by row.
struct MixtureView {
  std::size_t n_datasets, n_components, dim, n_lower;  // n_lower: D (D - 1) / 2, or 0 where L is the identity
  const float* mean;                                   // (B, C, D)
  const float* lower;                                  // (B, C, n_lower)
};

// out (B, S) = log sum_c exp(constant_c - |y_c|^2 / 2), z (B, S, D); constant (B, C) holds the log of component c's
// weight times its density's largest value; scale (B, C, D).
void mixture_log_density(const MixtureView& mixture, const float* constant, const float* scale, const float* z,
                         std::size_t n_draws, double* out, int n_threads, const Poll& poll);

// z (B, S, D) from uniform and normal numbers: component the number of `edges` (B, C - 1), cumulative weights, below
// uniform (B, S); z = mean + L^-1 (spread * noise), spread (B, C, D) = 1 / scale, noise (B, S, D).
void mixture_draws(const MixtureView& mixture, const float* edges, const float* spread, const float* uniform,
                   const float* noise, std::size_t n_draws, float* z, int n_threads, const Poll& poll);

}  // namespace hbm_fast
