// The log pmf and its gradient for XLA, which runs the functions that jax compiles.
#pragma once

#include "bindings/xla_interface.hpp"

namespace hbm_fast::xla {

// Arguments: counts (..., K) of integers and concentrations (..., K), float32 or float64, of one rank, whose leading
// axes broadcast. Results, of the concentrations' type: values (...) and, if there are two, gradients (..., K).
// Attributes: coefficient, n_threads (int64). Bad values give NaN for every group, as XLA has no errors of values.
Error* log_pmf(CallFrame* frame) noexcept;

}  // namespace hbm_fast::xla
