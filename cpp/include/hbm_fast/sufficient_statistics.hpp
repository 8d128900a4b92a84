// The exceedance table: for each category k and j >= 0 the number of groups with x_nk > j, and the same for the totals.
// It determines the likelihood of a shared concentration:
//   sum_n log p(x_n | a) = coefficient + sum_k sum_j c_kj log(a_k + j) - sum_j C_j log(A + j),  A = sum_k a_k.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "hbm_fast/view.hpp"

namespace hbm_fast {

class SufficientStatistics {
 public:
  explicit SufficientStatistics(std::size_t n_categories);

  // Adds every row of counts. Throws std::invalid_argument for a negative count or a different number of categories.
  void add(const CountsView& counts);
  void merge(const SufficientStatistics& other);

  std::size_t n_categories() const { return exceedances_.size(); }
  double n_groups() const { return n_groups_; }
  // Sum over groups of the log multinomial coefficient.
  double log_coefficient() const { return log_coefficient_; }
  // c_k0, c_k1, ... (non-increasing, up to the largest count of category k)
  std::span<const double> exceedances(std::size_t category) const { return exceedances_[category]; }
  std::span<const double> total_exceedances() const { return totals_; }

  // Log-likelihood of the ordered sequences (no coefficient) at one concentration (K values > 0); writes the gradient
  // with respect to the concentration where `gradient` is not null.
  double log_likelihood(const double* concentration, double* gradient = nullptr) const;

 private:
  std::vector<std::vector<double>> exceedances_;
  std::vector<double> totals_;
  double n_groups_ = 0.0;
  double log_coefficient_ = 0.0;
};

}  // namespace hbm_fast
