// Markov chains over the labels of a mixture of multinomials: the weights and the proportions of the components are
// integrated out (Yin & Wang 2014, doi:10.1145/2623330.2623715, for a fixed number; Neal 2000, doi:10.2307/1390653,
// algorithm 3, for a Dirichlet process).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "core/parallel.hpp"
#include "mixture/multinomial_kernels.hpp"
#include "mixture/sampler.hpp"

namespace hbm_fast {

// The groups with counts of a table, in the order of its slots, and the Dirichlet prior of each component's
// proportions; both must outlive it.
struct MultinomialGroups {
  MultinomialGroups(const CountSlots& slots, const std::vector<double>& prior);

  std::size_t n_groups() const { return totals.size(); }
  const CategoryCount* begin(std::size_t g) const { return counts.data() + first[g]; }
  const CategoryCount* end(std::size_t g) const { return counts.data() + first[g + 1]; }

  std::vector<CategoryCount> counts;
  std::vector<std::size_t> first;      // (N + 1)
  std::vector<double> totals;          // (N)
  const std::vector<double>& weights;  // (N) multiplicities, which chains ignore
  double sum_of_weights;
  const std::vector<double>& prior;  // (K)
  double sum_of_prior;
  double most_factors;  // totals whose products neither overflow nor underflow
};

// Chain c uses Stream(key, Site::chain, 0, c) alone. The draws have labels and weights, no parameters; the log
// likelihood is that of the groups given the labels, the proportions integrated out.
std::vector<MixtureChain> sample_multinomial_mixture(const MultinomialGroups& groups,
                                                     const MixtureSamplerOptions& options,
                                                     const std::function<void(double)>& poll);

// Log probability (J, R) of each new group given the groups of each component, without coefficients; labels (N).
void log_predictive_given_labels(const MultinomialGroups& groups, const std::int32_t* labels, std::size_t n_components,
                                 const MultinomialGroups& new_groups, double* out, TimedPoll& poll);

}  // namespace hbm_fast
