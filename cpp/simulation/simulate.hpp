// Endless datasets from the model, each addressed by its number: the bits of dataset i, group n depend on (key, i, n)
// and on that dataset's own settings alone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/array_view.hpp"
#include "core/parallel.hpp"
#include "core/stream.hpp"
#include "priors/prior.hpp"

namespace hbm_fast {

// Where an integer (a number of groups, a total) comes from: given values, or uniform on low..high inclusive.
struct IntegerSource {
  const std::int64_t* values = nullptr;  // with strides in elements; null: drawn
  std::size_t dataset_stride = 0;
  std::size_t group_stride = 0;
  std::int64_t low = 0;
  std::int64_t high = 0;

  std::int64_t given(std::size_t dataset, std::size_t group) const {
    return values[dataset * dataset_stride + group * group_stride];
  }
};

struct SimulationRequest {
  Key key;
  std::uint64_t first;  // number of the first dataset in the endless stream
  std::size_t n_datasets;
  std::size_t max_groups;
  std::size_t n_categories;
  AlphaPrior alpha;
  BetaPrior beta;
  bool alpha_given;  // log_alpha, or log_beta, below is an input
  bool beta_given;
  IntegerSource n_groups;
  IntegerSource totals;
};

// C-contiguous arrays of the caller, written in full (padding as zeros; its log_theta too).
struct SimulationArrays {
  double* log_alpha;           // (B,)
  double* log_beta;            // (B, K)
  double* alpha;               // (B,)
  double* beta;                // (B, K)
  std::int64_t* n_groups;      // (B,)
  double* log_theta;           // (B, N, K) or null
  double* theta;               // (B, N, K) or null
  void* counts;                // (B, N, K) or null
  CountType count_type;        // every total fits in it
  float* statistics;           // (B, K + 1, J) or null: exceedances of each category, then of the totals
  std::size_t max_total;       // J, at least every total
  double* beta_concentration;  // (B,), of a Dirichlet whose concentration the request draws, or null
};

// Throws std::invalid_argument for numbers of groups beyond max_groups, for totals beyond 2,000,000,000, the type of
// the counts or max_total, and for no category.
void simulate(const SimulationRequest& request, const SimulationArrays& arrays, int n_threads, const Poll& poll = {});

}  // namespace hbm_fast
