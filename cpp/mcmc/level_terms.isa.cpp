// The sum of weighted logarithms that mcmc/level_terms.hpp evaluates, vectorised over its terms.
#include "mcmc/level_terms_kernels.hpp"

#include <cstddef>
#include <cstdint>

namespace hbm_fast {
namespace HBM_LEVEL {

namespace {

#include "math/elementary.inl"

}  // namespace

double sum_of_levels(const double* scale, const double* level, const double* weight, std::size_t n, double alpha) {
  alignas(64) double x[level_block];
  alignas(64) double sums[level_block] = {};
  for (std::size_t begin = 0; begin < n; begin += level_block) {
    for (std::size_t i = 0; i < level_block; ++i) x[i] = multiply_add(alpha, scale[begin + i], level[begin + i]);
    logs_of<level_block>(x, level_block, x);
    for (std::size_t i = 0; i < level_block; ++i) sums[i] = multiply_add(weight[begin + i], x[i], sums[i]);
  }
  for (std::size_t half = level_block / 2; half > 0; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) sums[i] += sums[i + half];
  }
  return sums[0];
}

}  // namespace HBM_LEVEL
}  // namespace hbm_fast
