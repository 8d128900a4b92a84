// Rising factorials and their derivatives by short products and by differences of Stirling series, for the components
// of a block side by side.
#include "mixture/kernels.hpp"

#include <cstddef>
#include <cstdint>

#define HBM_FUSE_PRODUCTS

namespace hbm_fast {
namespace HBM_LEVEL {

namespace {

#include "math/elementary.inl"

// Factors that are multiplied before one logarithm; 16 factors below 1e19 do not overflow.
constexpr double most_factors = 12.0;
// From here on the series' first omitted terms are below 3e-14.
constexpr double series_from = 8.0;

// Where the product from u towards v ends: at v, or where the series holds.
HBM_INLINE double product_end(double u, double v) {
  return v - u <= most_factors ? v : (u < series_from ? series_from : u);
}

// log Gamma(z) - (z - 1/2) log z + z - log(2 pi)/2
HBM_INLINE double log_gamma_tail(double inverse) {
  const double w = inverse * inverse;
  return inverse *
         (1.0 / 12 + w * (-1.0 / 360 + w * (1.0 / 1260 + w * (-1.0 / 1680 + w * (1.0 / 1188 - w * (691.0 / 360360))))));
}

// log z - digamma(z)
HBM_INLINE double digamma_tail(double inverse) {
  const double w = inverse * inverse;
  return 0.5 * inverse +
         w * (1.0 / 12 + w * (-1.0 / 120 + w * (1.0 / 252 + w * (-1.0 / 240 + w * (1.0 / 132 - w * (691.0 / 32760))))));
}

// trigamma(z)
HBM_INLINE double trigamma_series(double inverse) {
  const double w = inverse * inverse;
  return inverse + 0.5 * w +
         inverse * w *
             (1.0 / 6 + w * (-1.0 / 30 + w * (1.0 / 42 + w * (-1.0 / 30 + w * (5.0 / 66 - w * (691.0 / 2730))))));
}

template <std::size_t lanes>
void log_rising(const double* a, const double* values, std::size_t n, double* out) {
  double sum[lanes] = {}, product[lanes], z[lanes];
  double u = 0.0;
  for (std::size_t s = 0; s < n; ++s, out += lanes) {
    const double v = values[s];
    const double end = product_end(u, v);
    if (u < end) {
      for (std::size_t l = 0; l < lanes; ++l) product[l] = a[l] + u;
      for (u += 1.0; u < end; u += 1.0) {
        for (std::size_t l = 0; l < lanes; ++l) product[l] *= a[l] + u;
      }
      for (std::size_t l = 0; l < lanes; ++l) sum[l] += log_of(product[l]);
    }
    if (u < v) {
      const double width = v - u;
      for (std::size_t l = 0; l < lanes; ++l) z[l] = a[l] + u;
      for (std::size_t l = 0; l < lanes; ++l) {
        const double top = z[l] + width;
        const double series = log_gamma_tail(1.0 / top) - log_gamma_tail(1.0 / z[l]);
        sum[l] += (z[l] - 0.5) * log1p_of(width / z[l]) + width * (log_of(top) - 1.0) + series;
      }
      u = v;
    }
    for (std::size_t l = 0; l < lanes; ++l) out[l] = sum[l];
  }
}

template <std::size_t lanes>
void differences(const double* a, const double* values, std::size_t n, const double* weights, double* first,
                 double* second) {
  double of_first[lanes] = {}, of_second[lanes] = {}, sum_first[lanes] = {}, sum_second[lanes] = {};
  double product[lanes], slope[lanes], half_curvature[lanes];
  double u = 0.0;
  for (std::size_t s = 0; s < n; ++s, weights += lanes) {
    const double v = values[s];
    const double end = product_end(u, v);
    if (u < end) {
      for (std::size_t l = 0; l < lanes; ++l) {
        product[l] = a[l] + u;
        slope[l] = 1.0;
        half_curvature[l] = 0.0;
      }
      for (u += 1.0; u < end; u += 1.0) {
        for (std::size_t l = 0; l < lanes; ++l) {
          const double factor = a[l] + u;
          half_curvature[l] = half_curvature[l] * factor + slope[l];
          slope[l] = slope[l] * factor + product[l];
          product[l] *= factor;
        }
      }
      for (std::size_t l = 0; l < lanes; ++l) {
        const double inverse = 1.0 / product[l];
        const double ratio = slope[l] * inverse;
        of_first[l] += ratio;
        of_second[l] += ratio * ratio - 2.0 * (half_curvature[l] * inverse);
      }
    }
    if (u < v) {
      const double width = v - u;
      for (std::size_t l = 0; l < lanes; ++l) {
        const double z = a[l] + u;
        const double inverse = 1.0 / z;
        const double inverse_top = 1.0 / (z + width);
        of_first[l] += log1p_of(width * inverse) + digamma_tail(inverse) - digamma_tail(inverse_top);
        of_second[l] += trigamma_series(inverse) - trigamma_series(inverse_top);
      }
      u = v;
    }
    for (std::size_t l = 0; l < lanes; ++l) {
      sum_first[l] += weights[l] * of_first[l];
      sum_second[l] += weights[l] * of_second[l];
    }
  }
  for (std::size_t l = 0; l < lanes; ++l) {
    first[l] = sum_first[l];
    second[l] = sum_second[l];
  }
}

template <std::size_t lanes>
void gather(const std::size_t* group_begin, const std::uint32_t* slots, const std::uint32_t* total_slot,
            std::size_t first, std::size_t last, const double* terms, const double* total_terms, const double* constant,
            double* out, std::size_t stride) {
  for (std::size_t g = first; g < last; ++g) {
    double even[lanes], odd[lanes] = {};
    for (std::size_t l = 0; l < lanes; ++l) even[l] = constant[l] - total_terms[total_slot[g] * lanes + l];
    std::size_t i = group_begin[g];
    const std::size_t end = group_begin[g + 1];
    for (; i + 2 <= end; i += 2) {
      const double* const at = terms + slots[i] * lanes;
      const double* const next = terms + slots[i + 1] * lanes;
      for (std::size_t l = 0; l < lanes; ++l) even[l] += at[l];
      for (std::size_t l = 0; l < lanes; ++l) odd[l] += next[l];
    }
    if (i < end) {
      for (std::size_t l = 0; l < lanes; ++l) even[l] += terms[slots[i] * lanes + l];
    }
    for (std::size_t l = 0; l < lanes; ++l) out[g * stride + l] = even[l] + odd[l];
  }
}

template <std::size_t lanes>
void scatter(const std::size_t* group_begin, const std::uint32_t* slots, const std::uint32_t* total_slot,
             std::size_t first, std::size_t last, const double* share, std::size_t stride, double* sums,
             double* total_sums) {
  for (std::size_t g = first; g < last; ++g) {
    double here[lanes];
    for (std::size_t l = 0; l < lanes; ++l) here[l] = share[g * stride + l];
    double* const total = total_sums + total_slot[g] * lanes;
    for (std::size_t l = 0; l < lanes; ++l) total[l] += here[l];
    for (std::size_t i = group_begin[g]; i < group_begin[g + 1]; ++i) {
      double* const at = sums + slots[i] * lanes;
      for (std::size_t l = 0; l < lanes; ++l) at[l] += here[l];
    }
  }
}

void responsibilities(double* log_joint, std::size_t n, std::size_t stride, double* log_sum) {
  for (std::size_t g = 0; g < n; ++g) {
    double* const row = log_joint + g * stride;
    double largest = row[0];
    for (std::size_t c = 1; c < stride; ++c) largest = row[c] > largest ? row[c] : largest;
    for (std::size_t c = 0; c < stride; ++c) row[c] -= largest;
    log_sum[g] = largest;
  }
  const std::size_t size = n * stride;
  for (std::size_t i = 0; i < size; i += 64) exps_of<64>(log_joint + i, size - i < 64 ? size - i : 64, log_joint + i);
  for (std::size_t g = 0; g < n; ++g) {
    double* const row = log_joint + g * stride;
    double sum = 0.0;
    for (std::size_t c = 0; c < stride; ++c) sum += row[c];
    const double inverse = 1.0 / sum;
    for (std::size_t c = 0; c < stride; ++c) row[c] *= inverse;
    log_sum[g] += log_of(sum);
  }
}

template <std::size_t lanes>
constexpr LaneKernels kernels_of = {log_rising<lanes>, differences<lanes>, gather<lanes>, scatter<lanes>};

}  // namespace

extern const MixtureKernels mixture_kernels = {kernels_of<4>, kernels_of<8>, responsibilities};

}  // namespace HBM_LEVEL
}  // namespace hbm_fast
