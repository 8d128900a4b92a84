// The collapsed likelihood of one exceedance table at up to 256 concentrations, vectorised over these. Stretches of
// equal counts share one logarithm of a product of up to eight factors.
#include <cstddef>
#include <cstdint>

#include "statistics/table_likelihood_kernels.hpp"

#define HBM_FUSE_PRODUCTS

namespace hbm_fast {
namespace HBM_LEVEL {

namespace {

#include "math/elementary.inl"

// x (x + 1) ... (x + M - 1)
template <int M>
HBM_INLINE double rising(double x) {
  if constexpr (M == 1) {
    return x;
  } else {
    return rising<M / 2>(x) * rising<M - M / 2>(x + M / 2);
  }
}

// value[s] += factor * log((a[s] + j) (a[s] + j + 1) ... (a[s] + j + M - 1))
template <int M>
inline void add_stretch(double j, double factor, const double* a, double* value, std::size_t n_draws) {
  double logs[table_block_size];
  for (std::size_t s = 0; s < n_draws; ++s) logs[s] = rising<M>(a[s] + j);
  logs_of<table_block_size>(logs, n_draws, logs);
  for (std::size_t s = 0; s < n_draws; ++s) value[s] = multiply_add(factor, logs[s], value[s]);
}

using Stretch = void(double, double, const double*, double*, std::size_t);
constexpr Stretch* stretches[] = {add_stretch<1>, add_stretch<2>, add_stretch<3>, add_stretch<4>,
                                  add_stretch<5>, add_stretch<6>, add_stretch<7>, add_stretch<8>};

// value[s] += sign * sum_{j >= 1} c_j log(a[s] + j)
inline void add_row(const float* row, std::size_t n, double sign, const double* a, double* value, std::size_t n_draws) {
  constexpr std::size_t longest = sizeof(stretches) / sizeof(stretches[0]);
  for (std::size_t j = 1; j < n && row[j] > 0.0f;) {
    std::size_t length = 1;
    while (j + length < n && row[j + length] == row[j] && length < longest) ++length;
    stretches[length - 1](static_cast<double>(j), sign * static_cast<double>(row[j]), a, value, n_draws);
    j += length;
  }
}

}  // namespace

void table_block(const float* table, std::size_t n_categories, std::size_t max_total, const double* log_alpha,
                 const double* log_beta, std::size_t n_draws, double* value) {
  double t[table_block_size], a[table_block_size];
  const float* const totals = table + n_categories * max_total;
  const double groups = max_total > 0 ? static_cast<double>(totals[0]) : 0.0;
  for (std::size_t s = 0; s < n_draws; ++s) {
    // beyond exp(70) the likelihood is the multinomial's to the last bit, and products of eight stay finite
    t[s] = log_alpha[s] < 70.0 ? log_alpha[s] : 70.0;
    a[s] = exp_of(t[s]);
    value[s] = -groups * t[s];
  }
  add_row(totals, max_total, -1.0, a, value, n_draws);
  for (std::size_t k = 0; k < n_categories; ++k) {
    const float* const row = table + k * max_total;
    if (max_total == 0 || row[0] == 0.0f) continue;
    const double present = static_cast<double>(row[0]);
    for (std::size_t s = 0; s < n_draws; ++s) {
      const double log_a = t[s] + log_beta[s * n_categories + k];
      a[s] = exp_of(log_a);
      value[s] = multiply_add(present, log_a, value[s]);
    }
    add_row(row, max_total, 1.0, a, value, n_draws);
  }
}

}  // namespace HBM_LEVEL
}  // namespace hbm_fast
