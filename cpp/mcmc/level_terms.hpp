// The likelihood of one dataset along log alpha, beta fixed, as one sum over levels of the exceedances:
//   sum_k c_k0 log(alpha beta_k) - C_0 log alpha + sum_{k, j >= 1} c_kj log(alpha beta_k + j) - sum_{j >= 1} C_j
//   log(alpha + j).
// Where counts are small it is evaluated in one vector loop, without a call for each category.
#pragma once

#include <cstddef>
#include <vector>

#include "core/stream.hpp"
#include "mcmc/level_terms_kernels.hpp"
#include "statistics/sufficient_statistics.hpp"

namespace hbm_fast {

// What depends on the dataset alone; chains share it.
class LevelTerms {
 public:
  explicit LevelTerms(const SufficientStatistics& statistics);

  // Whether the levels are few enough for this form.
  bool usable() const { return usable_; }

  // The factor of alpha in each term, for proportions (K,); returns sum_k c_k0 log beta_k.
  double scale(const double* log_beta, std::vector<double>& scales) const;
  // The log-likelihood without coefficients, but for what `scale` returned.
  Expansion log_likelihood(double log_alpha, const std::vector<double>& scales) const;

  // Whether draw_tables may be called: groups are few.
  bool draws_tables() const { return usable_ && draws_tables_; }
  // The table counts of mcmc/crp_tables.hpp at these proportions (as `scale` left them), one binomial for each level.
  void draw_tables(Stream& stream, double log_alpha, const std::vector<double>& scales, double* tables) const;

 private:
  bool usable_ = true;
  bool draws_tables_ = true;
  double exponent_ = 0.0;  // sum_k c_k0 - C_0
  std::vector<double> present_;
  std::vector<std::size_t> first_;     // terms of category k are first_[k] .. first_[k + 1]; those of the totals follow
  std::vector<float> level_, weight_;  // whole numbers, exact
};

}  // namespace hbm_fast
