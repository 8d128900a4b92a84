// Rising factorials of small counts as products: a text has a few words, so that one division a component is all that
// its probability costs beside them, and no logarithm.
#include "mixture/multinomial_kernels.hpp"

#include <cstddef>
#include <cstdint>

namespace hbm_fast {
namespace HBM_LEVEL {

namespace {

#include "math/elementary.inl"

constexpr std::size_t lanes = component_block;

void weigh(const std::int32_t* counts, std::size_t stride, const CategoryCount* begin, const CategoryCount* end,
           double total, const double* prior, const double* totals, std::size_t n, double* weights, double* sums) {
  for (std::size_t first = 0; first < n; first += lanes) {
    double top[lanes], bottom[lanes], factor[lanes];
    for (std::size_t l = 0; l < lanes; ++l) {
      top[l] = prior[first + l];
      factor[l] = bottom[l] = totals[first + l];
    }
    for (double t = 1.0; t < total; t += 1.0) {
      for (std::size_t l = 0; l < lanes; ++l) bottom[l] *= factor[l] + t;
    }
    for (const CategoryCount* at = begin; at != end; ++at) {
      const std::int32_t* const row = counts + at->category * stride + first;
      for (std::size_t l = 0; l < lanes; ++l) {
        factor[l] = static_cast<double>(row[l]) + at->prior;
        top[l] *= factor[l];
      }
      for (std::uint32_t t = 1; t < at->count; ++t) {
        for (std::size_t l = 0; l < lanes; ++l) top[l] *= factor[l] + static_cast<double>(t);
      }
    }
    for (std::size_t l = 0; l < lanes; ++l) {
      top[l] /= bottom[l];
      weights[first + l] = top[l];
    }
    for (std::size_t width = lanes / 2; width > 0; width /= 2) {
      for (std::size_t l = 0; l < width; ++l) top[l] += top[l + width];
    }
    sums[first / lanes] = top[0];
  }
}

void gather(const double* terms, std::size_t stride, const CategoryCount* begin, const CategoryCount* end,
            const double* first, double* out) {
  for (std::size_t j = 0; j < stride; j += lanes) {
    double sum[lanes];
    for (std::size_t l = 0; l < lanes; ++l) sum[l] = first[j + l];
    for (const CategoryCount* at = begin; at != end; ++at) {
      const double* const row = terms + at->category * stride + j;
      const double count = at->count;
      for (std::size_t l = 0; l < lanes; ++l) sum[l] += count * row[l];
    }
    for (std::size_t l = 0; l < lanes; ++l) out[j + l] = sum[l];
  }
}

void scatter(double* sums, std::size_t stride, const CategoryCount* begin, const CategoryCount* end,
             const double* share) {
  for (const CategoryCount* at = begin; at != end; ++at) {
    double* const row = sums + at->category * stride;
    const double count = at->count;
    for (std::size_t j = 0; j < stride; ++j) row[j] += count * share[j];
  }
}

void logs(double* values, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) values[i] = log_of(values[i]);
}

}  // namespace

extern const MultinomialKernels multinomial_kernels = {weigh, gather, scatter, logs};

}  // namespace HBM_LEVEL
}  // namespace hbm_fast
