// The vector loops of the likelihood, one set per instruction-set level. Concentrations are normal doubles up to 1e280.
#pragma once

#include <cstddef>

namespace hbm_fast {

struct LikelihoodKernels {
  // sum_j c_j log(a + j) and sum_j c_j / (a + j)
  void (*table)(const double* c, std::size_t n, double a, double* value, double* slope);
  // sum_i w_i [lgamma(a + x_i) - lgamma(a)] and the same of digamma; x_i >= 1
  void (*pairs)(const double* x, const double* w, std::size_t n, double a, double* value, double* slope);
  // out_i = lgamma(a_i + x_i) - lgamma(a_i); x_i >= 1
  void (*log_rising)(const double* a, const double* x, std::size_t n, double* out);
  // out_i = digamma(a_i + x_i) - digamma(a_i); x_i >= 1
  void (*digamma_difference)(const double* a, const double* x, std::size_t n, double* out);
  // Two categories, n <= 64 rows with totals up to `largest`: out_i = p(x_i, y_i | a_i, b_i) / choose(x_i + y_i, x_i), 64 values
  // of each input readable; a, b <= 1e70.
  void (*two_categories)(const double* a, const double* b, const double* x, const double* total, int largest, double* out);
  // Groups of one category: out_i = prod_{j < total_i} (1 + r_i / (a_i + j)) - 1, 64 values of each input.
  void (*one_category)(const double* a, const double* r, const double* total, int largest, double* out);
  // out_i = log(x_i) for x_i > 0 normal
  void (*log)(const double* x, std::size_t n, double* out);
  // out_i = log(1 + x_i) for x_i >= 0
  void (*log1p)(const double* x, std::size_t n, double* out);
};

// Those of isa_level().
const LikelihoodKernels& likelihood_kernels();

}  // namespace hbm_fast
