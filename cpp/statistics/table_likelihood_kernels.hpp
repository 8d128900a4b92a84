// The kernel of the exceedances' likelihood.
#pragma once

#include <cstddef>

#include "core/dispatch.hpp"

namespace hbm_fast {

constexpr std::size_t table_block_size = 256;

// One table (K + 1, J) at n_draws <= table_block_size concentrations: log_alpha (n_draws), log_beta (n_draws, K).
using TableKernel = void(const float* table, std::size_t n_categories, std::size_t max_total, const double* log_alpha,
                         const double* log_beta, std::size_t n_draws, double* value);

HBM_KERNEL(TableKernel, table_block)

}  // namespace hbm_fast
