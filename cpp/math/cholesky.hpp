// Cholesky factors of small symmetric matrices (n, n), in their lower triangles.
#pragma once

#include <cstddef>

namespace hbm_fast {

// Factors in place; false where a pivot is lost in rounding, at this share of the diagonal.
bool cholesky(double* matrix, std::size_t n, double lost_pivot = 1e-14);
// Solves L x = b in place.
void solve_lower(const double* factor, std::size_t n, double* b);
// Solves L' x = b in place.
void solve_upper(const double* factor, std::size_t n, double* b);
// Solves L L' x = b in place.
void cholesky_solve(const double* factor, std::size_t n, double* b);

}  // namespace hbm_fast
