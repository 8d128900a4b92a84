// Mean proportions of the groups of a regression, vectorised over 64 of them.
#include <cstddef>
#include <cstdint>

#include "regression/proportions_kernels.hpp"

#define HBM_FUSE_PRODUCTS

namespace hbm_fast {
namespace HBM_LEVEL {

namespace {

#include "math/elementary.inl"

constexpr std::size_t width = 64;
constexpr double largest_exponent = 700.0;

}  // namespace

void proportions(double* predictors, std::size_t n_rows, std::size_t n_categories, double* log_precision, bool is_sum) {
  double largest[width], sum[width], exponent[width];
  for (std::size_t begin = 0; begin < n_rows; begin += width) {
    const std::size_t n = n_rows - begin < width ? n_rows - begin : width;
    double* const first = predictors + begin;
    for (std::size_t i = 0; i < n; ++i) largest[i] = first[i];
    for (std::size_t k = 1; k < n_categories; ++k) {
      const double* const eta = first + k * n_rows;
      for (std::size_t i = 0; i < n; ++i) largest[i] = eta[i] > largest[i] ? eta[i] : largest[i];
    }
    for (std::size_t i = 0; i < n; ++i) sum[i] = 0.0;
    for (std::size_t k = 0; k < n_categories; ++k) {
      double* const eta = first + k * n_rows;
      for (std::size_t i = 0; i < n; ++i) exponent[i] = eta[i] - largest[i];
      exps_of<width>(exponent, n, eta);
      for (std::size_t i = 0; i < n; ++i) sum[i] += eta[i];
    }
    double* const precision = log_precision + begin;
    for (std::size_t i = 0; i < n; ++i) {
      const double e = is_sum ? largest[i] : precision[i];
      exponent[i] = e < largest_exponent ? e : largest_exponent;
    }
    exps_of<width>(exponent, n, precision);
    if (is_sum) {
      for (std::size_t i = 0; i < n; ++i) precision[i] *= sum[i];
    }
    for (std::size_t i = 0; i < n; ++i) sum[i] = 1.0 / sum[i];
    for (std::size_t k = 0; k < n_categories; ++k) {
      double* const eta = first + k * n_rows;
      for (std::size_t i = 0; i < n; ++i) eta[i] *= sum[i];
    }
  }
}

}  // namespace HBM_LEVEL
}  // namespace hbm_fast
