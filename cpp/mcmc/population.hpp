// Markov chains for many datasets whose (alpha_b, beta_b) come from one population that is learned with them:
//   log alpha_b ~ Normal(mu, tau),  beta_b ~ Dirichlet(kappa m),  priors of mu, tau, kappa, m.
//
// One sweep of a chain:
//   1. log alpha_b given beta_b, mu, tau, on the likelihood of the dataset, theta integrated out;
//   2. (mu, tau) given log alpha_b (centred): tau by a slice step with mu integrated out, mu exactly;
//   3. (mu, tau) given z_b = (log alpha_b - mu) / tau (not centred), on the likelihood of all datasets;
//   4. the CRP table counts of every dataset given (alpha_b, beta_b), which are a sample from beta_b; (kappa, m) given
//      them by Hamiltonian Monte Carlo, every beta_b integrated out: the model of mcmc/posterior_density.hpp with the
//      datasets as its groups; beta_b ~ Dirichlet(kappa m + tables), exactly.
// Steps 2 and 3 interweave a sufficient and an ancillary augmentation (Yu & Meng 2011, doi:10.1198/jcgs.2011.203main),
// so that mu and tau move freely whether the datasets say much about their alpha or little. Steps 1 and 3 propose from
// the normal approximation at the present point, one evaluation of each dataset, and accept by Metropolis and Hastings;
// one sweep in four takes slice steps instead, which move wherever that approximation is bad.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "mcmc/chain.hpp"
#include "priors/prior.hpp"
#include "statistics/sufficient_statistics.hpp"

namespace hbm_fast {

struct PopulationPriors {
  double mean = 0.0;  // of mu
  double sd = 1.0;
  AlphaPrior tau;
  ModelView upper;  // kappa and m, as alpha and beta
};

// Where the draws go: (C, D), (C, D, K), (B, C, D) and (B, C, D, K).
struct PopulationArrays {
  double* mu;
  double* log_tau;
  double* log_kappa;
  double* log_m;
  double* log_alpha;
  double* log_beta;
  double* acceptance;  // of the trajectories of (kappa, m)
  bool* diverging;
};

// Dataset b of chain c draws from Stream(key, Site::chain, b, c), and what the datasets share from that of b = B:
// nothing depends on n_threads. `poll` is called with the share of sweeps done.
void sample_population(const std::vector<const SufficientStatistics*>& datasets, const PopulationPriors& priors,
                       const ChainOptions& options, const PopulationArrays& out,
                       const std::function<void(double)>& poll);

}  // namespace hbm_fast
