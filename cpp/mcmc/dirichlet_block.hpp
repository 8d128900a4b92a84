// A Dirichlet variate of many categories at once: the same distribution as variates.hpp's log_dirichlet, one logarithm
// a category.
#pragma once

#include <cstddef>

#include "core/stream.hpp"

namespace hbm_fast {

// log of a Dirichlet(concentration) variate, concentration > 0: K finite values with logsumexp 0.
void log_dirichlet_block(Stream& stream, const double* concentration, std::size_t n_categories, double* log_theta);

}  // namespace hbm_fast
