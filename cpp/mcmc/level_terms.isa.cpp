// The sum of weighted logarithms that mcmc/level_terms.hpp evaluates, vectorised over its terms.
#include "mcmc/level_terms_kernels.hpp"

#include <cstddef>
#include <cstdint>

namespace hbm_fast {
namespace HBM_LEVEL {

namespace {

#include "math/elementary.inl"

}  // namespace

Expansion sum_of_levels(const double* scale, const double* level, const double* weight, std::size_t n, double alpha) {
  constexpr std::size_t most = 64;  // at a time
  alignas(64) double x[most];
  alignas(64) double logs[most];
  alignas(64) double values[level_block] = {};
  alignas(64) double slopes[level_block] = {};
  alignas(64) double curvatures[level_block] = {};
  for (std::size_t begin = 0; begin < n; begin += most) {
    const std::size_t end = n - begin < most ? n - begin : most;
    for (std::size_t i = 0; i < end; ++i) x[i] = multiply_add(alpha, scale[begin + i], level[begin + i]);
    logs_of<most>(x, end, logs);
    for (std::size_t block = 0; block < end; block += level_block) {
      for (std::size_t i = 0; i < level_block; ++i) {
        const std::size_t at = begin + block + i;
        const double share = level[at] / x[block + i];  // 1 - d log x / d log alpha
        const double slope = weight[at] - weight[at] * share;
        values[i] = multiply_add(weight[at], logs[block + i], values[i]);
        slopes[i] += slope;
        curvatures[i] = multiply_add(slope, share, curvatures[i]);
      }
    }
  }
  for (std::size_t half = level_block / 2; half > 0; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) {
      values[i] += values[i + half];
      slopes[i] += slopes[i + half];
      curvatures[i] += curvatures[i + half];
    }
  }
  return {values[0], slopes[0], curvatures[0]};
}

}  // namespace HBM_LEVEL
}  // namespace hbm_fast
