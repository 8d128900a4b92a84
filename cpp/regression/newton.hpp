// Newton's method for a regression: the exact Hessian, damped where it is not negative definite.
#pragma once

#include <cstdint>
#include <vector>

#include "regression/objective.hpp"

namespace hbm_fast {

// How the search ended. At `separated` mean proportions run to 0 or 1, at `infinity` the precision grows without bound
// and at `zero` it falls to 0: the value is within 1e-8 of its supremum, and there is no maximum. At `flat` some
// direction changes nothing. At `unfinished` the iterations were used up, or rounding stopped the search.
enum class Ending : std::uint8_t { converged, separated, infinity, zero, flat, unfinished };

struct RegressionOptimum {
  std::vector<double> theta;
  std::vector<double> information;  // (p, p), minus the Hessian at most 1e-6 standard errors from theta
  double value;
  Ending ending;
  int n_iterations;
};

RegressionOptimum maximize(const RegressionObjective& objective, std::vector<double> start, int max_iterations);

// Pooled proportions and the best of a few precisions. `unit` (P,) and `precision_unit` (Q,) are the coefficients whose
// predictors are nearest to 1.
std::vector<double> pooled_start(const RegressionObjective& objective, const double* unit,
                                 const double* precision_unit);

}  // namespace hbm_fast
