// The log-likelihood of a regression with normal random intercepts of subjects, the intercepts integrated out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/parallel.hpp"
#include "regression/objective.hpp"

namespace hbm_fast {

// The rows of subject s are begins[s], ..., begins[s + 1] - 1. Each has J intercepts scale_j v_j with v ~ Normal(0, I).
struct SubjectData {
  RegressionData rows;
  std::size_t n_subjects;
  const std::int64_t* begins;  // (S + 1,)
  std::size_t n_scales;        // J, or 1 where all intercepts share one scale
  // Nodes of the Gauss-Hermite rule, for J = 1: each its place and the log of its weight less exp(-place^2). None for
  // Laplace's approximation.
  std::size_t n_nodes;
  const double* nodes;  // (n_nodes, 2)
};

// theta: the parameters of the rows, then the scales, whose sign changes nothing. Returns the value without the
// multinomial coefficient and writes its gradient. `modes` (S, J) are the v that a search starts from, and then the
// modes; `covariance` (S, J, J) is that of the intercepts given theta, by the curvature at the modes.
double marginal_likelihood(const SubjectData& data, const double* theta, double* gradient, double* modes,
                           double* covariance, int n_threads, const Poll& poll);

}  // namespace hbm_fast
