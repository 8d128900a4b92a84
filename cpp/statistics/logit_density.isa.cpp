// Vectorised over the points, blocks of 64. Stretches of equal counts share one logarithm of a product of up to eight
// factors.
#include <cstddef>
#include <cstdint>

#include "core/limits.hpp"
#include "statistics/logit_density_kernels.hpp"

namespace hbm_fast {
namespace HBM_LEVEL {

namespace {

#include "math/elementary.inl"

constexpr std::size_t width = lane_count;

// sum += sign * sum_{j >= 1} c_j log(a + j)
inline void add_logs(const double* table, std::size_t n, double sign, const double* a, double* sum) {
  double product[width], logs[width];
  for (std::size_t j = 1; j < n && table[j] > 0.0;) {
    const double c = table[j];
    for (std::size_t s = 0; s < width; ++s) product[s] = a[s] + static_cast<double>(j);
    std::size_t last = j + 1;
    for (; last < n && table[last] == c && last - j < 8; ++last) {
      for (std::size_t s = 0; s < width; ++s) product[s] *= a[s] + static_cast<double>(last);
    }
    logs_of<width>(product, width, logs);
    for (std::size_t s = 0; s < width; ++s) sum[s] += sign * c * logs[s];
    j = last;
  }
}

// sum = c_0 + a sum_{j >= 1} c_j / (a + j), the derivative with respect to log a
inline void slopes(const double* table, std::size_t n, const double* a, double* sum) {
  for (std::size_t s = 0; s < width; ++s) sum[s] = 0.0;
  for (std::size_t j = 1; j < n && table[j] > 0.0; ++j) {
    for (std::size_t s = 0; s < width; ++s) sum[s] += table[j] / (a[s] + static_cast<double>(j));
  }
  const double first = n > 0 ? table[0] : 0.0;
  for (std::size_t s = 0; s < width; ++s) sum[s] = first + a[s] * sum[s];
}

}  // namespace

void logit_block(const double* tables, std::size_t n, const double* concentration, const double* t, const double* u,
                 std::size_t n_points, double* value, double* slope) {
  const double* const of0 = tables;
  const double* const of1 = tables + n;
  const double* const of_totals = tables + 2 * n;
  const double first0 = n > 0 ? of0[0] : 0.0;
  const double first1 = n > 0 ? of1[0] : 0.0;
  const double first_total = n > 0 ? of_totals[0] : 0.0;
  double logit[width], log_alpha[width], alpha[width], a0[width], a1[width], beta0[width], beta1[width], sum[width],
      other[width];
  for (std::size_t begin = 0; begin < n_points; begin += width) {
    const std::size_t size = n_points - begin < width ? n_points - begin : width;
    for (std::size_t s = 0; s < width; ++s) {
      const std::size_t i = begin + (s < size ? s : 0);
      logit[s] = u[i];
      log_alpha[s] = t[i] < 70.0 ? t[i] : 70.0;
    }
    for (std::size_t s = 0; s < width; ++s) {
      const double away = logit[s] < 0.0 ? logit[s] : -logit[s];
      const double small = exp_of(away);  // the rarer category's odds
      const double log_common = -log1p_of(small);
      const double log_rare = away + log_common;
      const double common = 1.0 / (1.0 + small);
      const double rare = small * common;
      const bool falls = logit[s] < 0.0;
      const double log0 = falls ? log_common : log_rare;
      const double log1 = falls ? log_rare : log_common;
      beta0[s] = falls ? common : rare;
      beta1[s] = falls ? rare : common;
      alpha[s] = exp_of(log_alpha[s]);
      a0[s] = alpha[s] * beta0[s];
      a1[s] = alpha[s] * beta1[s];
      sum[s] = concentration[0] * log0 + concentration[1] * log1 + first0 * (log_alpha[s] + log0) +
               first1 * (log_alpha[s] + log1) - first_total * log_alpha[s];
    }
    add_logs(of_totals, n, -1.0, alpha, sum);
    add_logs(of0, n, 1.0, a0, sum);
    add_logs(of1, n, 1.0, a1, sum);
    for (std::size_t s = 0; s < size; ++s) value[begin + s] = sum[s];
    if (slope == nullptr) continue;
    slopes(of0, n, a0, sum);
    slopes(of1, n, a1, other);
    for (std::size_t s = 0; s < size; ++s) {
      slope[begin + s] = (concentration[1] + other[s]) * beta0[s] - (concentration[0] + sum[s]) * beta1[s];
    }
  }
}

}  // namespace HBM_LEVEL
}  // namespace hbm_fast
