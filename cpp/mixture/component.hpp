// One component of a mixture in a Markov chain: its concentration alpha beta, the log likelihood of every group under
// it, and its Gibbs step given the groups that belong to it (the CRP table counts, as in mcmc/gibbs.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "core/stream.hpp"
#include "mcmc/concentration.hpp"
#include "mixture/count_slots.hpp"
#include "priors/prior.hpp"

namespace hbm_fast {

struct Component {
  double log_alpha = 0.0;
  std::vector<double> log_beta;                // (K)
  std::optional<Concentration> concentration;  // of beta, where the model learns it
  std::vector<double> log_likelihood;          // (N), without the coefficients
  std::size_t size = 0;                        // groups that belong to it
  // Of its groups, filled before `update`:
  std::vector<double> tables;  // (K) CRP table counts
  std::vector<double> totals;  // (distinct totals) how many of its groups have each

  // Exchanges parameters and sizes, where no concentration of beta is learned.
  void swap(Component& other) {
    std::swap(log_alpha, other.log_alpha);
    log_beta.swap(other.log_beta);
    log_likelihood.swap(other.log_likelihood);
    std::swap(size, other.size);
  }
};

// What the components of one chain share. The arguments must outlive it.
class ComponentSampler {
 public:
  ComponentSampler(const CountSlots& slots, const ModelView& model);

  Component empty() const;
  // alpha and beta from their priors.
  void draw_prior(Stream& stream, Component& component) const;
  // The log likelihood of the groups from `first` on.
  void evaluate(Component& component, std::size_t first);
  // The tables and totals of every component that groups belong to; components[label] of each group.
  void count_tables(Stream& stream, const std::vector<std::int32_t>& labels, std::vector<Component>& components) const;
  // alpha, then beta given the tables.
  void update(Stream& stream, Component& component) const;
  // alpha given beta, the tables integrated out: where alpha is large, they nearly determine it.
  void slice_alpha(Stream& stream, Component& component, const std::vector<std::size_t>& groups);
  // Log prior density of y = log(alpha beta), of a free alpha and a known Dirichlet of beta.
  double log_prior(const Component& component) const;

 private:
  void fill_terms(double log_alpha, const std::vector<double>& log_beta);
  double sum_of_terms(std::size_t group) const;

  const CountSlots& slots_;
  const ModelView& model_;
  double log_normalizer_ = 0.0;              // of the Dirichlet of beta
  std::vector<double> terms_, total_terms_;  // of one component: each slot, each distinct total
};

}  // namespace hbm_fast
