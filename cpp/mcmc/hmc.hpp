// Hamiltonian Monte Carlo on the whitened coordinates of PosteriorDensity: analytic gradient, dual-averaged step,
// jittered trajectory length (Neal 2011, arXiv:1206.1901). Where the posterior has several modes of alpha, each has a
// region with its own coordinates and step size; a trajectory that leaves its region is rejected (so that the reverse
// move has the same coordinates), and jumps move between regions. An unknown concentration of beta is drawn before each
// trajectory, with beta, given alpha.
#pragma once

#include <vector>

#include "mcmc/whitened_chain.hpp"

namespace hbm_fast {

class Hmc final : public WhitenedChain {
 public:
  // `preparation` outlives the chain.
  Hmc(const SufficientStatistics& statistics, const ModelView& model, const Preparation& preparation,
      const Start& start);

  void warm_up(std::size_t i, std::size_t n) override;
  StepStatistics step() override;

 private:
  void enter(double log_alpha, const double* log_beta) override;  // the region of log_alpha
  void arrive() override;

  std::vector<double> momentum_;
  std::vector<DualAveraging> adaptation_;  // one for each region
  std::vector<double> step_size_;
};

}  // namespace hbm_fast
