// The tails of the normal distribution, vectorised over blocks of 64.
#include <cstddef>
#include <cstdint>

#include "core/limits.hpp"
#include "math/normal_tails_kernels.hpp"

#define HBM_FUSE_PRODUCTS

namespace hbm_fast {
namespace HBM_LEVEL {

namespace {

#include "math/elementary.inl"

constexpr std::size_t width = lane_count;
constexpr double largest = 37.5;  // Phi(-37.5) is 5e-308

// (x + 2) exp(x^2 / 2) Phi(-x) in u = 2 w - 1, w = x (37.5 + 5) / ((x + 5) 37.5); lowest power first. Error 2.3e-16
// (tools/fit_normal_tails.py).
constexpr double scaled_tail[] = {
    0x1.22f0328ec6036p-1,   -0x1.ecca06452d5d2p-3,  0x1.15368a999d7fep-3,  -0x1.c587843986874p-5,
    0x1.7e6fc4076043dp-7,   0x1.de6636ea70153p-9,   -0x1.3a827edb7e198p-8, 0x1.2f52747d088d7p-9,
    -0x1.2449f06d554a4p-11, -0x1.aa26f1642b533p-17, 0x1.b7fe084f846bcp-15, -0x1.4e7c3139da285p-17,
    -0x1.c8590ee04a5f2p-19, 0x1.8432ad0d51237p-20,  0x1.de2cdddc6b57cp-23, -0x1.7098513031f28p-23,
    -0x1.5126717ef3e2cp-26, 0x1.55588d3ddc397p-26,  0x1.69f4b035912acp-29, -0x1.235cfdb6f9591p-29,
    -0x1.a582c2da91ad1p-32, 0x1.4b41bd2f79382p-33,  0x1.324ce95d24bc0p-35};

constexpr std::size_t degree = sizeof(scaled_tail) / sizeof(double) - 1;

// Horner's scheme, written so that only the loop over the block is left to vectorise.
template <std::size_t Power>
HBM_INLINE double polynomial(double u) {
  if constexpr (Power == degree) {
    return scaled_tail[Power];
  } else {
    return multiply_add(u, polynomial<Power + 1>(u), scaled_tail[Power]);
  }
}

}  // namespace

void tails_block(const double* z, std::size_t n, double* lower, double* upper) {
  double size[width], small[width], log_small[width], log_large[width];
  for (std::size_t begin = 0; begin < n; begin += width) {
    const std::size_t here = n - begin < width ? n - begin : width;
    for (std::size_t i = 0; i < width; ++i) {
      const double x = z[begin + (i < here ? i : 0)];
      const double away = x < 0.0 ? -x : x;
      size[i] = away > largest ? largest : away;
    }
    for (std::size_t i = 0; i < width; ++i) {
      const double x = size[i];
      const double u = x * (2.0 * (largest + 5.0) / largest) / (x + 5.0) - 1.0;
      const double ratio = polynomial<0>(u) / (x + 2.0);
      const double square = -0.5 * (x * x);
      small[i] = exp_of(square) * ratio;
      log_small[i] = square + log_of(ratio);
    }
    for (std::size_t i = 0; i < width; ++i) log_large[i] = log1p_of(-small[i]);
    for (std::size_t i = 0; i < here; ++i) {
      const double x = z[begin + i];
      lower[begin + i] = x < 0.0 ? log_small[i] : x >= 0.0 ? log_large[i] : x;
      upper[begin + i] = x < 0.0 ? log_large[i] : x >= 0.0 ? log_small[i] : x;
    }
  }
}

}  // namespace HBM_LEVEL
}  // namespace hbm_fast
