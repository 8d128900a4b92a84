// The loops of a mixture's likelihood. Components lie side by side in blocks of `lanes`; a block's values of slot s are
// at [s * lanes, (s + 1) * lanes).
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/dispatch.hpp"

namespace hbm_fast {

struct LaneKernels {
  // out: log of a (a+1) ... (a+v-1) at each of n ascending values v >= 1, a (lanes).
  void (*log_rising)(const double* a, const double* values, std::size_t n, double* out);
  // first, second (lanes): sums over the values of weight times digamma(a+v) - digamma(a), and times trigamma(a) -
  // trigamma(a+v).
  void (*differences)(const double* a, const double* values, std::size_t n, const double* weights, double* first,
                      double* second);
  // out[g * stride + lane] = constant + terms of the slots of groups [first, last) - term of their totals.
  void (*gather)(const std::size_t* group_begin, const std::uint32_t* slots, const std::uint32_t* total_slot,
                 std::size_t first, std::size_t last, const double* terms, const double* total_terms,
                 const double* constant, double* out, std::size_t stride);
  // sums[s] += share[g] for each slot s of each group g in [first, last).
  void (*scatter)(const std::size_t* group_begin, const std::uint32_t* slots, const std::uint32_t* total_slot,
                  std::size_t first, std::size_t last, const double* share, std::size_t stride, double* sums,
                  double* total_sums);
};

struct MixtureKernels {
  LaneKernels four, eight;
  // Replaces log_joint (n, stride) by the responsibilities exp(log_joint - log_sum) and writes log_sum (n).
  void (*responsibilities)(double* log_joint, std::size_t n, std::size_t stride, double* log_sum);
};

HBM_KERNEL(const MixtureKernels, mixture_kernels)

}  // namespace hbm_fast
