// The log pmf of one group without cancellation: slower than the vector loops, right for every concentration.
#pragma once

#include <cstddef>

namespace hbm_fast {

// The categories of one group that have counts, and what the others add.
struct Group {
  const double* counts;         // n positive counts
  const double* concentration;  // their concentrations
  std::size_t n;
  double other_concentration;   // sum of the concentrations of the categories without counts
};

double careful_log_pmf(const Group& group, bool coefficient);

}  // namespace hbm_fast
