// The table counts of the Chinese restaurant process, summed over groups: m_k = sum_n m_nk, where a group with x draws
// of category k has 1 + Bernoulli(a/(a+1)) + ... + Bernoulli(a/(a+x-1)) tables (Antoniak 1974,
// doi:10.1214/aos/1176342871).
#pragma once

#include <cstddef>
#include <vector>

#include "core/stream.hpp"
#include "statistics/sufficient_statistics.hpp"

namespace hbm_fast {

// Prefix sums for drawing m from the exceedances (or from pairs of value and weight, where counts are large); shared by
// the chains of a dataset. The statistics must outlive it.
class TableCounts {
 public:
  // Throws std::invalid_argument where a group counts a fraction of times: there is no number of its tables.
  explicit TableCounts(const SufficientStatistics& statistics);

  // Draws m_0 .. m_{K-1} at the concentrations alpha beta. Costs O(K + the number of further tables), not O(N).
  void draw(Stream& stream, double log_alpha, const double* log_beta, double* tables) const;

 private:
  double from_table(Stream& stream, std::size_t category, double a, double& gap) const;
  double from_pairs(Stream& stream, std::size_t category, double a, double& gap) const;

  const SufficientStatistics& statistics_;
  std::vector<std::vector<double>> reach_;  // reach_[k][j] = sum_{1 <= i <= j} c_ki / i; empty where k has pairs
};

// The expected number of tables at the concentrations alpha beta: sum_nk sum_{j < x_nk} a_k / (a_k + j).
double expected_tables(const SufficientStatistics& statistics, double log_alpha, const double* log_beta);

// Whether every group counts a whole number of times.
bool whole_weights(const SufficientStatistics& statistics);

}  // namespace hbm_fast
