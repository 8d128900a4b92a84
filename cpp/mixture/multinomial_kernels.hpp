// The loops over the components of a mixture of multinomials. What belongs to a category and a component lies
// word-major: the values of all components of category k, padded to whole blocks, are at [k * stride, (k + 1) *
// stride).
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/dispatch.hpp"

namespace hbm_fast {

// A positive count of a group.
struct CategoryCount {
  std::uint32_t category;
  std::uint32_t count;
  double prior;  // of the category: its concentration
};

inline constexpr std::size_t component_block = 16;

struct MultinomialKernels {
  // weights[j] = prior[j] prod_k (counts[k, j] + prior_k) rising by the counts / (totals[j] rising by their sum), of
  // `n` columns, a multiple of the block; sums has the sum of each block.
  void (*weigh)(const std::int32_t* counts, std::size_t stride, const CategoryCount* begin, const CategoryCount* end,
                double total, const double* prior, const double* totals, std::size_t n, double* weights, double* sums);
  // out[j] = first[j] + sum of count times terms[k, j].
  void (*gather)(const double* terms, std::size_t stride, const CategoryCount* begin, const CategoryCount* end,
                 const double* first, double* out);
  // sums[k, j] += count times share[j].
  void (*scatter)(double* sums, std::size_t stride, const CategoryCount* begin, const CategoryCount* end,
                  const double* share);
  // values := log(values).
  void (*logs)(double* values, std::size_t n);
};

HBM_KERNEL(const MultinomialKernels, multinomial_kernels)

}  // namespace hbm_fast
