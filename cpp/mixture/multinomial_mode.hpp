// Modes of a mixture of multinomials under Dirichlet priors, by expectation-maximisation with extrapolation.
#pragma once

#include <cstddef>

#include "core/parallel.hpp"
#include "mixture/multinomial_sampler.hpp"

namespace hbm_fast {

struct MultinomialMode {
  double value = 0.0;  // log posterior of the logs of the proportions, without the multinomial coefficients
  std::size_t n_iterations = 0;
  bool converged = false;
};

// log of weight times probability of each group (N, J), without coefficients; beta (J, K) and weights (J).
void multinomial_log_joint(const MultinomialGroups& groups, std::size_t n_components, const double* beta,
                           const double* weights, double* out, TimedPoll& poll);

// Moves beta (J, K) and weights (J) to a mode: until the gradient, in expected counts, is below the tolerance. The
// density is that of the logs of proportions (its mode has beta_k proportional to prior_k plus expected counts, for any
// prior), for weights ~ Dirichlet(d, ..., d), d >= 1, that of the weights. Where `poll` throws, they hold the last
// iteration.
MultinomialMode maximize_multinomial(const MultinomialGroups& groups, double d, std::size_t n_components, double* beta,
                                     double* weights, double tolerance, std::size_t max_iterations, TimedPoll& poll);

}  // namespace hbm_fast
