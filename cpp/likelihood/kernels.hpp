// The vector loops of the likelihood, one set per instruction-set level. Concentrations are normal doubles up to 1e280.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/dispatch.hpp"
#include "core/limits.hpp"

namespace hbm_fast {

// Up to here five terms of log_choose_ratio's expansion leave out less than 2e-16.
constexpr double largest_ratio_concentration = 4.0;

constexpr double almost_one = 0.9;  // above this pmf, 70 roundings are more than 7e-14 of its logarithm

// 64 rows of two categories. Aligned to cache lines: otherwise the time varies by 5 % with the stack's position.
struct alignas(64) TwoCategoryBlock {
  double a[64], b[64];
  std::uint64_t x[64], y[64];
};

struct RowSums {
  double sum;           // of the terms
  double absolute;      // of their absolute values
  std::uint64_t total;  // of the counts
};

constexpr std::size_t row_step = 16;  // elements that row_sums reads at once

// A table of weights c_0, c_1, ... in the order of evaluation: four levels in a row that share one weight take one
// logarithm, the others one division for two.
struct RisingTerms {
  const double* fours;  // the first level of each such run
  const double* four_weights;
  std::size_t n_fours;
  const double* firsts;  // the other levels, two by two
  const double* first_weights;
  const double* seconds;
  const double* second_weights;
  std::size_t n_pairs;
};

struct LikelihoodKernels {
  // sum_j c_j log(a + j) and sum_j c_j / (a + j) for a from 1e-300 to largest_vector_concentration
  void (*rising_terms)(const RisingTerms& c, double a, double* value, double* slope);
  // The same for 64 values of a, each to the same bits
  void (*rising_terms_batch)(const RisingTerms& c, const double* a, double* value, double* slope);
  // sum_i w_i [lgamma(a + x_i) - lgamma(a)] and the same of digamma; x_i >= 1
  void (*value_weights)(const double* x, const double* w, std::size_t n, double a, double* value, double* slope);
  // The same for 64 values of a, each to the same bits
  void (*value_weights_batch)(const double* x, const double* w, std::size_t n, const double* a, double* value,
                              double* slope);
  // out_i = lgamma(a_i + x_i) - lgamma(a_i); x_i >= 1
  void (*log_rising)(const double* a, const double* x, std::size_t n, double* out);
  // out_i = digamma(a_i + x_i) - digamma(a_i)
  void (*digamma_difference)(const double* a, const double* x, std::size_t n, double* out);
  // out_i = lgamma(a_i + x_i) - lgamma(a_i) - log(x_i!); inverse_factorials: 1/0! ... 1/31!
  void (*log_choose)(const double* a, const double* x, std::size_t n, const double* inverse_factorials, double* out);
  // The same where log_gamma_i = lgamma(min(a_i, x_i + 1)) is known; the larger of a_i and x_i + 1 is at least 16
  void (*log_choose_known)(const double* a, const double* x, const double* log_gamma, std::size_t n, double* out);
  // The same where log_gamma_i = lgamma(a_i), a_i is at most largest_ratio_concentration and x_i at least 16
  void (*log_choose_ratio)(const double* a, const double* x, const double* log_gamma, std::size_t n, double* out);
  // out (n_counts, n): log(a_k (a_k+1) ... (a_k+x-1) w_x) for the x from 1 to n_counts - 1; n_counts <= 32
  void (*log_rising_table)(const double* a, std::size_t n, const double* w, std::size_t n_counts, double* out);
  // out_i = lgamma(a_i)
  void (*log_gamma)(const double* a, std::size_t n, double* out);
  // Of each row, the elements first[r] to first[r + 1]; row_step elements more than the rows have are read.
  void (*row_sums)(const double* term, const std::uint64_t* count, const std::size_t* first, std::size_t n_rows,
                   RowSums* sums);
  // By CountType: n <= 64 rows of two categories, strides in elements; the rest of the 64 are rows of no counts.
  void (*load_two_categories[8])(const void* x, std::ptrdiff_t row, std::ptrdiff_t category, const double* a,
                                 std::ptrdiff_t a_row, std::ptrdiff_t a_category, int n, TwoCategoryBlock* block);
  // 64 pmfs and their logarithms; choose[32 n + x] is a factor. A row for which products will not do has pmf 0 and any
  // logarithm: a count above 31, or concentrations beyond the limits above. Returns the bits of the rows that are not
  // done: those, and pmfs from almost_one on.
  std::uint64_t (*two_categories)(const TwoCategoryBlock* block, const double* choose, double* pmf, double* log_pmf);
  // Groups of one category, 64 of them: out_i = prod_{j < total_i} (1 + r_i / (a_i + j)) - 1; total_i < 64.
  void (*one_category)(const double* a, const double* r, const double* total, double* out);
  // out_i = log(1 + x_i) for x_i >= 0
  void (*log1p)(const double* x, std::size_t n, double* out);
  // By CountType: where a contiguous row is not 0, and its counts there (negative ones appear huge); K + 1 places each.
  // Returns how many.
  std::size_t (*positive[8])(const void* x, std::size_t n_categories, std::uint32_t* where, std::uint64_t* value);
  // By CountType: the non-zero ones of a contiguous row, in order, with their concentrations; K + 1 places each.
  // Returns how many; the total exceeds largest_exact_integer where a count is negative or too large (then the row is
  // cut short).
  std::size_t (*gather[8])(const void* x, const double* a, std::ptrdiff_t a_stride, std::size_t n_categories,
                           double* x_out, double* a_out, std::uint64_t* total);
};

HBM_KERNEL(const LikelihoodKernels, likelihood_kernels)

}  // namespace hbm_fast
