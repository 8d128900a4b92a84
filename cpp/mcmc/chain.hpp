// What every sampler is to the driver: a chain with its own stream that warms up, then steps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

namespace hbm_fast {

// What one step reports beside the parameters.
struct StepStatistics {
  double log_density = 0.0;  // of the posterior of (log alpha, log-ratios of beta), up to a constant; NaN: not computed
  double acceptance = 1.0;   // mean acceptance probability of the step's proposals
  double step_size = 0.0;    // after warm-up a constant
  std::int32_t n_evaluations = 0;  // of the density (HMC: leapfrog steps, each with a gradient)
  bool diverging = false;
};

class Chain {
 public:
  virtual ~Chain() = default;
  // Called for i = 0 .. n-1; adaptation ends with i = n-1 and never comes back.
  virtual void warm_up(std::size_t i, std::size_t n) = 0;
  virtual StepStatistics step() = 0;
  // log alpha, and the K values of log beta, of the current state.
  virtual double parameters(double* log_beta) const = 0;
  // log c, where beta ~ Dirichlet(c, ..., c) with an unknown c.
  virtual double log_concentration() const { return std::numeric_limits<double>::quiet_NaN(); }
};

}  // namespace hbm_fast
