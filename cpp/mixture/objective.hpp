// Log-likelihood of a mixture of Dirichlet-multinomials, plus the log prior of its concentrations, with its gradient
// (Fisher's identity: that of the expected complete-data log-likelihood) and the complete data's information, which is
// a diagonal plus a rank-one term for each component.
#pragma once

#include <cstddef>
#include <vector>

#include "mixture/count_slots.hpp"
#include "mixture/kernels.hpp"
#include "priors/prior.hpp"

namespace hbm_fast {

// alpha and beta of every component, and the concentration of the symmetric Dirichlet of the weights.
struct MixturePrior {
  AlphaPrior alpha;
  std::vector<double> beta;
  double weights = 1.0;
};

// Components lie side by side, padded to whole blocks: `parameters` holds the log concentrations (K, stride), then the
// log weights (stride).
struct MixturePoint {
  std::vector<double> parameters, gradient;
  std::vector<double> diagonal;  // (K, stride)
  std::vector<double> rank_one;  // (stride); the information of component c is diag(d) - rank_one a a'
  std::vector<double> size;      // (stride) expected number of groups
  double value = 0.0;            // the multinomial coefficients and the uniform density of the weights are left out
};

class MixtureObjective {
 public:
  MixtureObjective(const CountSlots& slots, const MixturePrior& prior, std::size_t n_components);

  std::size_t n_components() const { return n_components_; }
  std::size_t stride() const { return stride_; }
  std::size_t n_parameters() const { return (slots_.n_categories + 1) * stride_; }
  const CountSlots& slots() const { return slots_; }
  MixturePoint point() const;
  void read(MixturePoint& point, const double* log_concentration, const double* log_weights) const;  // (C, K), (C)
  void write(const MixturePoint& point, double* log_concentration, double* log_weights) const;

  // Responsibilities (N, stride) at the parameters, and the point's value.
  void expect(MixturePoint& point, TimedPoll& poll);
  // The log joint densities (N, stride) themselves, without coefficients, in place of the responsibilities.
  void log_joint(MixturePoint& point, TimedPoll& poll);
  // Gradient, information and sizes for the present responsibilities.
  void derive(MixturePoint& point, TimedPoll& poll);
  double* responsibilities() { return shares_.data(); }

  // out: the inverse of the complete data's information, made positive definite, times `gradient`.
  void precondition(const MixturePoint& point, const double* gradient, double* out) const;

 private:
  void concentrations(const MixturePoint& point);
  double log_prior(const MixturePoint& point) const;

  const CountSlots& slots_;
  const MixturePrior& prior_;
  std::size_t n_components_, lanes_, stride_;
  const LaneKernels& kernels_;
  double sum_beta_ = 0.0, log_normalizer_ = 0.0;
  std::vector<double> a_;                       // (K, stride)
  std::vector<double> total_;                   // (stride) sums of a over the categories
  std::vector<double> terms_, total_terms_;     // (blocks, U, lanes), (blocks, distinct totals, lanes)
  std::vector<double> sums_, total_sums_;       // the same shapes
  std::vector<double> shares_, log_sums_;       // (N, stride), (N)
  std::vector<double> block_, first_, second_;  // (lanes)
};

}  // namespace hbm_fast
