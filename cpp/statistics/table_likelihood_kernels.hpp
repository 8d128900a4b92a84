// What the levels of the exceedance tables' likelihood compute.
#pragma once

#include <cstddef>

#include "core/isa.hpp"

namespace hbm_fast {

constexpr std::size_t table_block_size = 256;

// One table (K + 1, J) at n_draws <= table_block_size concentrations: log_alpha (n_draws), log_beta (n_draws, K).
using TableKernel = void(const float* table, std::size_t n_categories, std::size_t max_total, const double* log_alpha,
                         const double* log_beta, std::size_t n_draws, double* value);

#if HBM_FAST_X86_LEVELS
namespace v2 {
TableKernel table_block;
}
namespace v3 {
TableKernel table_block;
}
#else
namespace portable {
TableKernel table_block;
}
#endif

}  // namespace hbm_fast
