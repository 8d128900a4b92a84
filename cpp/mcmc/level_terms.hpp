// The likelihood of one dataset along log alpha, beta fixed, as one sum over levels of the exceedances:
//   sum_k c_k0 log(alpha beta_k) - C_0 log alpha + sum_{k, j >= 1} c_kj log(alpha beta_k + j) - sum_{j >= 1} C_j
//   log(alpha + j).
// Where counts are small it is evaluated in one vector loop, without a call for each category.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
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

  // sum_k c_k0 log beta_k, which log_likelihood leaves out.
  double constant(const double* log_beta) const;
  // The log-likelihood at proportions beta (K,), without coefficients and but for `constant`.
  Expansion log_likelihood(double log_alpha, const double* beta) const;

  // Whether draw_tables may be called: groups are few.
  bool draws_tables() const { return usable_ && draws_tables_; }
  // The table counts of mcmc/crp_tables.hpp at proportions beta, one binomial for each level.
  void draw_tables(Stream& stream, double log_alpha, const double* beta, double* tables) const;

 private:
  static constexpr std::size_t most_terms = 4096;  // a multiple of level_block
  using Scales = std::array<double, most_terms>;

  // The factor of alpha in each term. Written anew at each evaluation: kept for each dataset of a large population,
  // they would be half of the memory that a sweep reads.
  void scale(const double* beta, Scales& scales) const;
  const float* levels() const { return terms_.data(); }
  const float* weights() const { return terms_.data() + n_terms_; }

  bool usable_ = true;
  bool draws_tables_ = true;
  double exponent_ = 0.0;    // sum_k c_k0 - C_0
  std::size_t n_terms_ = 0;  // a multiple of level_block
  std::vector<double> present_;
  std::vector<std::uint32_t> first_;  // terms of category k are first_[k] .. first_[k + 1]; those of the totals follow
  std::vector<float> terms_;          // all levels, then all weights: whole numbers, exact
};

}  // namespace hbm_fast
