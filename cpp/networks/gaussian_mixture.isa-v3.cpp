// The density of one mixture of Gaussians, vectorised over blocks of 64 draws.
#include <cstddef>
#include <cstdint>

#include "networks/gaussian_mixture_kernels.hpp"

#define HBM_FUSE_PRODUCTS

namespace hbm_fast {
namespace HBM_LEVEL {

namespace {

#include "math/elementary.inl"

}  // namespace

void mixture_block(const MixtureBlock& mixture, const float* z, std::size_t n, double* scratch, double* out) {
  constexpr std::size_t width = lane_count;
  const std::size_t d = mixture.dim;
  double* const quadratic = scratch;                                   // (C, width)
  double* const deviation = quadratic + mixture.n_components * width;  // (D, width)
  double* const point = deviation + d * width;                         // (D, width)
  double largest[width], sum[width], y[width];
  for (std::size_t s = 0; s < width; ++s) {
    for (std::size_t i = 0; i < d; ++i) point[i * width + s] = static_cast<double>(z[(s < n ? s : 0) * d + i]);
  }
  for (std::size_t s = 0; s < width; ++s) largest[s] = -1e308;
  for (std::size_t c = 0; c < mixture.n_components; ++c) {
    const float* const mean = mixture.mean + c * d;
    const float* const scale = mixture.scale + c * d;
    const float* low = mixture.lower + c * mixture.n_lower;
    double* const value = quadratic + c * width;
    for (std::size_t s = 0; s < width; ++s) value[s] = static_cast<double>(mixture.constant[c]);
    for (std::size_t i = 0; i < d; ++i) {
      double* const here = deviation + i * width;
      const double centre = static_cast<double>(mean[i]);
      for (std::size_t s = 0; s < width; ++s) here[s] = point[i * width + s] - centre;
      for (std::size_t s = 0; s < width; ++s) y[s] = here[s];
      if (mixture.n_lower > 0) {
        for (std::size_t j = 0; j < i; ++j) {
          const double factor = static_cast<double>(*low++);
          for (std::size_t s = 0; s < width; ++s) y[s] = multiply_add(factor, deviation[j * width + s], y[s]);
        }
      }
      const double size = static_cast<double>(scale[i]);
      for (std::size_t s = 0; s < width; ++s) value[s] = multiply_add(-0.5 * (y[s] * size), y[s] * size, value[s]);
    }
    for (std::size_t s = 0; s < width; ++s) largest[s] = value[s] > largest[s] ? value[s] : largest[s];
  }
  for (std::size_t s = 0; s < width; ++s) sum[s] = 0.0;
  for (std::size_t c = 0; c < mixture.n_components; ++c) {
    const double* const value = quadratic + c * width;
    for (std::size_t s = 0; s < width; ++s) sum[s] += exp_of(value[s] - largest[s]);
  }
  // the largest term is 1 where no input is NaN
  for (std::size_t s = 0; s < width; ++s) y[s] = sum[s] >= 1.0 ? largest[s] + log_of(sum[s]) : __builtin_nan("");
  for (std::size_t s = 0; s < n; ++s) out[s] = y[s];
}

}  // namespace HBM_LEVEL
}  // namespace hbm_fast
