// Exceedances: how many groups of a dataset have a count, or a total, above each j.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/array_view.hpp"
#include "core/parallel.hpp"

namespace hbm_fast {

// row[j], j < max_total: how many values exceed j, by how often each value 0, ..., max_total occurs.
inline void exceedances_of(const std::int32_t* tallies, std::size_t max_total, float* row) {
  std::int32_t above = 0;
  for (std::size_t j = max_total; j-- > 0;) {
    above += tallies[j + 1];
    row[j] = static_cast<float>(above);
  }
}

// For each dataset of counts (B, N, K) and j < max_total the number of groups with x_nk > j, and the same for the
// totals: out (B, K + 1, J). Throws std::invalid_argument where a count is negative or a total exceeds max_total.
struct CountsBatch {
  CountsView first;  // dataset 0
  std::size_t n_datasets;
  std::ptrdiff_t dataset_stride;  // in elements
};
void exceedance_counts(const CountsBatch& counts, std::size_t max_total, float* out, int n_threads,
                       const Poll& poll = {});

}  // namespace hbm_fast
