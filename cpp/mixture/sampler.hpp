// Markov chains over the labels of the groups and the parameters of the components of a mixture.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "mcmc/chain.hpp"
#include "mixture/count_slots.hpp"
#include "priors/prior.hpp"

namespace hbm_fast {

struct MixtureSamplerOptions : ChainOptions {
  std::size_t n_components = 0;  // J, or 0 for a Dirichlet process
  double weights = 1.0;          // weights ~ Dirichlet(weights, ..., weights), of a finite J
  double concentration = 1.0;    // of the Dirichlet process; where `rate` is positive its prior is Gamma(shape, rate)
  double shape = 0.0;
  double rate = 0.0;
  std::size_t n_empty = 0;  // groups without counts: their labels are drawn from the others'
};

// The draws of one chain. Parameters of the components of all draws lie one after the other: n_components[d] of draw d.
struct MixtureChain {
  std::vector<std::int32_t> n_components;  // (D) J, or the number of components in use
  std::vector<std::int32_t> n_used;        // (D) components that groups belong to
  std::vector<std::int32_t> labels;        // (D, N + n_empty): the slots' groups in their order, then the empty ones
  std::vector<double> log_alpha, log_beta, log_concentration, log_weights;
  std::vector<double> log_likelihood;         // (D) of the groups under their components, without coefficients
  std::vector<double> process_concentration;  // (D)
};

// One sweep draws the labels one after the other given the parameters, the weights integrated out (of a Dirichlet
// process: Neal 2000, doi:10.2307/1390653, algorithm 8, its auxiliary components kept over the sweep as in Favaro & Teh
// 2013, doi:10.1214/13-STS422), then the parameters of each component given its groups. Chain c uses
// Stream(key, Site::chain, 0, c) alone. `poll`, if given, is called with the share of the sweeps done.
std::vector<MixtureChain> sample_mixture(const CountSlots& slots, const ModelView& component,
                                         const MixtureSamplerOptions& options, const std::function<void(double)>& poll);

}  // namespace hbm_fast
