// Labels of groups to start a mixture from: k-means++ and Lloyd's iterations on the square roots of the groups'
// proportions, whose Euclidean distance is Hellinger's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mixture/count_slots.hpp"

namespace hbm_fast {

// Arthur & Vassilvitskii (2007): each seed is drawn by one of `uniforms` (C) with probability proportional to the
// squared distance from the seeds before it; of several candidates, spread evenly over that distribution, the one that
// leaves the smallest sum of squared distances. Writes labels (N).
void hellinger_labels(const CountSlots& slots, std::size_t n_components, const double* uniforms,
                      std::size_t n_candidates, std::size_t n_iterations, std::int32_t* labels, TimedPoll& poll);

}  // namespace hbm_fast
