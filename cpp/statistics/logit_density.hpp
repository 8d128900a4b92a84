// The collapsed likelihood of two categories in t = log alpha and u = logit beta_1, many points at once: what the
// quadrature of K = 2 spends its time on.
#pragma once

#include <cstddef>

#include "core/parallel.hpp"

namespace hbm_fast {

// tables: (3, J), non-increasing along j: groups with count > j of category 0, of category 1, and of the totals.
// For n points writes
//   value = b_0 log beta_0 + b_1 log beta_1 + sum_k sum_j c_kj log(alpha beta_k + j) - sum_j C_j log(alpha + j)
// and, where `slope` is not null, d value / du. Right for every alpha and beta however small; beyond alpha = exp(70)
// the likelihood is the multinomial's to the last bit.
void logit_density(const double* tables, std::size_t max_total, const double* concentration, const double* t,
                   const double* u, std::size_t n, double* value, double* slope, int n_threads, const Poll& poll);

}  // namespace hbm_fast
