// The Dirichlet-multinomial log pmf of groups, and its gradient:
//   log p(x | a) = log M!/(x_1! ... x_K!) + sum_k [lgamma(a_k + x_k) - lgamma(a_k)] - [lgamma(A + M) - lgamma(A)],
// M = sum x, A = sum a. A concentration of 0 means that the category is absent: it gives -inf where its count is not 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/array_view.hpp"
#include "core/parallel.hpp"

namespace hbm_fast {

// Rows of counts and concentrations over the same leading axes (row-major); strides are in elements, 0 broadcasts.
struct Rows {
  CountsView counts;  // data, type, n_categories and category_stride; n_rows and row_stride are not read
  const double* concentration;
  std::ptrdiff_t concentration_category_stride;
  std::vector<std::size_t> shape;
  std::vector<std::ptrdiff_t> counts_strides;
  std::vector<std::ptrdiff_t> concentration_strides;

  std::size_t size() const;
};

// Writes size() values. Throws std::invalid_argument for a negative count, a total above 2^53, or a concentration that
// is negative, infinite or NaN.
// Error: 1e-13 relative for totals up to 1000 and for groups of one category; at most 4 epsilon times the sum of the
// absolute terms elsewhere; for all concentrations, sums that overflow included.
void log_pmf(const Rows& rows, bool coefficient, double* out, int n_threads, const Poll& poll);

// Also writes the gradient with respect to the concentration, (size(), K), each component to 1e-12 relative.
void log_pmf_gradient(const Rows& rows, bool coefficient, double* out, double* gradient, int n_threads,
                      const Poll& poll);

// Counts in compressed sparse rows: row n holds columns[offsets[n] .. offsets[n + 1]), each column at most once.
template <class Index>
struct SparseRows {
  CountsView counts;  // one row of all stored entries
  const Index* columns;
  const Index* offsets;
  std::size_t n_rows;
  std::size_t n_categories;
  const double* concentration;
  std::ptrdiff_t concentration_row_stride;  // 0: one concentration for all rows
};

template <class Index>  // std::int32_t or std::int64_t
void log_pmf(const SparseRows<Index>& rows, bool coefficient, double* out, int n_threads, const Poll& poll);

// For callers compiled elsewhere (numba), by address: contiguous counts (N, K) and concentrations (rows apart by
// `concentration_row_stride`, 0 for a shared one). Bad values give NaN: of one group, or of every group.
void log_pmf_rows(const std::int64_t* counts, const double* concentration, std::int64_t n_rows,
                  std::int64_t n_categories, std::int64_t concentration_row_stride, std::int64_t coefficient,
                  double* out) noexcept;
double log_pmf_group(const std::int64_t* counts, const double* concentration, std::int64_t n_categories,
                     std::int64_t coefficient) noexcept;

}  // namespace hbm_fast
