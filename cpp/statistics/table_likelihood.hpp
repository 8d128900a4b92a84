// The collapsed likelihood of many data sets at many concentrations each, from exceedance tables of one fixed shape:
// what weighs a network's draws.
#pragma once

#include <cstddef>

#include "core/parallel.hpp"

namespace hbm_fast {

// tables: (B, K + 1, J) non-negative, non-increasing along j; row k < K holds c_kj = groups with count > j, row K the
// same for the totals. log_alpha: (B, S), log_beta: (B, S, K), out: (B, S):
//   out = sum_k sum_j c_kj log(alpha beta_k + j) - sum_j d_j log(alpha + j).
// The logs at j = 0 are those given, so that alpha and beta may be far below the smallest double.
void table_log_likelihood(const float* tables, std::size_t n_datasets, std::size_t n_categories, std::size_t max_total,
                          const double* log_alpha, const double* log_beta, std::size_t n_draws, double* out,
                          int n_threads, const Poll& poll);

}  // namespace hbm_fast
