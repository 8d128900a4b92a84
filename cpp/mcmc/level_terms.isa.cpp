// The sum of weighted logarithms that mcmc/level_terms.hpp evaluates, vectorised over its terms.
#include "mcmc/level_terms_kernels.hpp"

#include <cstddef>
#include <cstdint>

namespace hbm_fast {
namespace HBM_LEVEL {

namespace {

#include "math/elementary.inl"

}  // namespace

Expansion sum_of_levels(const double* scale, const float* level, const float* weight, std::size_t n, double alpha) {
  constexpr std::size_t most = 64;  // at a time
  alignas(64) double x[most];
  alignas(64) double logs[most];
  alignas(64) double sums[3][level_block] = {};
  double* const values = sums[0];
  double* const slopes = sums[1];
  double* const curvatures = sums[2];
  for (std::size_t begin = 0; begin < n; begin += most) {
    const std::size_t end = n - begin < most ? n - begin : most;
    for (std::size_t i = 0; i < end; ++i)
      x[i] = multiply_add(alpha, scale[begin + i], static_cast<double>(level[begin + i]));
    logs_of<most>(x, end, logs);
    for (std::size_t block = 0; block < end; block += level_block) {
      for (std::size_t i = 0; i < level_block; ++i) {
        const std::size_t at = begin + block + i;
        const double times = weight[at];
        const double share = level[at] / x[block + i];  // 1 - d log x / d log alpha
        const double slope = times - times * share;
        values[i] = multiply_add(times, logs[block + i], values[i]);
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

void binomials_of_levels(const double* scale, const float* level, const float* weight, std::size_t n, double alpha,
                         double* uniform, double* successes) {
  for (std::size_t begin = 0; begin < n; begin += level_block) {
    alignas(64) double odds[level_block];  // of the rarer outcome, which is what is counted
    alignas(64) double trials[level_block];
    alignas(64) double mass[level_block];  // the probability of the present number
    alignas(64) double left[level_block];  // of the uniform, -1 where the number is found
    alignas(64) double number[level_block] = {};
    for (std::size_t i = 0; i < level_block; ++i) {
      const double a = alpha * scale[begin + i], j = level[begin + i];
      odds[i] = a < j ? a / j : j / a;
      trials[i] = weight[begin + i] > 0.0f ? weight[begin + i] : 0.0f;
      left[i] = uniform[begin + i];
      mass[i] = 1.0 + odds[i];
    }
    logs_of<level_block>(mass, level_block, mass);
    for (std::size_t i = 0; i < level_block; ++i) mass[i] *= -trials[i];
    exps_of<level_block>(mass, level_block, mass);
    double more = 1.0;
    for (double m = 0.0; more > 0.0; m += 1.0) {
      const double share = 1.0 / (m + 1.0);
      alignas(64) double goes_on[level_block];
      for (std::size_t i = 0; i < level_block; ++i) {
        goes_on[i] = left[i] >= mass[i] && m < trials[i] ? 1.0 : 0.0;
        left[i] = goes_on[i] > 0.0 ? left[i] - mass[i] : -1.0;
        number[i] += goes_on[i];
        mass[i] *= odds[i] * (trials[i] - m) * share;
      }
      more = 0.0;
      for (std::size_t i = 0; i < level_block; ++i) more += goes_on[i];
    }
    for (std::size_t i = 0; i < level_block; ++i) {
      successes[begin + i] = alpha * scale[begin + i] < level[begin + i] ? number[i] : trials[i] - number[i];
    }
  }
}

}  // namespace HBM_LEVEL
}  // namespace hbm_fast
