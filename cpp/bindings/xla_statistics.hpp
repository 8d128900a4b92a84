// The log-likelihood of statistics and its gradient for XLA, which runs the functions that jax compiles.
#pragma once

#include <cstdint>
#include <memory>

#include "bindings/xla_interface.hpp"
#include "statistics/sufficient_statistics.hpp"

namespace hbm_fast::xla {

// Keeps statistics for the compiled functions that name them by this key, as long as the process runs: jax keeps
// compiled functions as long, and on disk too, so that a key must be a hash of the statistics, never an address.
void keep_statistics(std::int64_t key, std::shared_ptr<const SufficientStatistics> statistics);

// Argument: concentrations (..., K), float32 or float64. Results, of the same type: values (...) and, if there are two,
// gradients (..., K). Attributes: key, coefficient, n_threads (int64). A bad concentration gives NaN for itself.
Error* statistics_log_likelihood(CallFrame* frame) noexcept;

}  // namespace hbm_fast::xla
