// Draws from the posterior of a regression: Hamiltonian Monte Carlo in whitened coordinates (Neal 2011,
// arXiv:1206.1901), or independence Metropolis steps from a multivariate t around the mode, whose weights are those of
// importance sampling. The scales of random intercepts are drawn by slice steps too, given the intercepts themselves:
// interweaving (Yu & Meng 2011, doi:10.1198/jcgs.2011.203main).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "mcmc/chain.hpp"
#include "regression/whitening.hpp"

namespace hbm_fast {

struct RegressionSamplerOptions : ChainOptions {
  bool independence = false;
};

// (C, D), and (C, D, p), (C, D, T), (C, D, S, I). log_weight is that of the proposal of an independence step, the
// target over the density it was drawn from.
struct RegressionDraws {
  double* theta;
  double* log_scale;
  double* intercepts;
  double* log_density;
  double* log_weight;
  double* acceptance;
  double* step_size;
  std::int32_t* n_evaluations;
  bool* diverging;
};

// Chain c uses Stream(key, Site::chain, 0, c) alone. `poll` is called with the share that is done.
void sample_regression(const RegressionDensity& density, const RegressionWhitening& whitening,
                       const RegressionSamplerOptions& options, const RegressionDraws& draws,
                       const std::function<void(double)>& poll);

}  // namespace hbm_fast
