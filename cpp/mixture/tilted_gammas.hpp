// A distribution near the posterior of the concentrations of one component given its groups: gammas with a common tilt.
//
// In y = log a the log density is sum_k f_k(y_k) + h(A), A = sum_k a_k: the categories meet in A alone. At the mode
// a_k ~ Gamma(d_k, d_k / a_k) has the mode and the curvature d_k of the terms of category k, and h is imitated by a
// common shift xi of the rates, normal with variance h'' / (1 - h'' sum_k a_k^2 / d_k), which here takes some nodes:
// the density is then a finite sum.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/stream.hpp"
#include "mixture/count_slots.hpp"
#include "mixture/kernels.hpp"
#include "priors/prior.hpp"

namespace hbm_fast {

class TiltedGammas {
 public:
  // Mode, diagonal d and second derivative h'' of the totals' part.
  TiltedGammas(const std::vector<double>& mode, const std::vector<double>& diagonal, double bend);

  const std::vector<double>& mode() const { return mode_; }
  // y (K)
  void draw(Stream& stream, double* y) const;
  double log_density(const double* y) const;

 private:
  std::vector<double> mode_;           // of a
  std::vector<double> shape_, rate_;   // (K)
  std::vector<double> shift_, share_;  // of each node: xi, and its cumulative probability
  std::vector<double> constant_;       // of each node: log probability + sum_k d_k log(rate_k - xi) - lgamma(d_k)
};

// Finds them for up to `lanes` sets of groups at once. The model must have a free alpha without bounds and a known
// Dirichlet of beta; slots and model must outlive it.
class TiltedGammasFinder {
 public:
  static constexpr std::size_t lanes = 4;
  static bool serves(const ModelView& model) {
    return model.alpha.kind != AlphaKind::fixed && !model.alpha.bounded() && !model.beta.fixed &&
           !model.beta.concentration;
  }

  TiltedGammasFinder(const CountSlots& slots, const ModelView& model);

  // Of the groups with label l < n_sets in labels (N), by Newton's method from a start that depends on these groups
  // alone; none where it does not converge.
  std::vector<std::optional<TiltedGammas>> find(const std::vector<std::int32_t>& labels, std::size_t n_sets);

 private:
  const CountSlots& slots_;
  const ModelView& model_;
  const LaneKernels& kernels_;
  double sum_beta_ = 0.0;
  std::vector<double> weights_, total_weights_;                       // (slots, lanes), (distinct totals, lanes)
  std::vector<double> y_, a_, first_, second_, gradient_, diagonal_;  // (K, lanes)
};

}  // namespace hbm_fast
