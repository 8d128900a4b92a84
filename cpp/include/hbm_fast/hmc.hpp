// Hamiltonian Monte Carlo on the whitened coordinates of PosteriorDensity: analytic gradient, dual-averaged step,
// jittered trajectory length (Neal 2011, arXiv:1206.1901). Started from the Laplace approximation.
#pragma once

#include <vector>

#include "hbm_fast/adaptation.hpp"
#include "hbm_fast/chain.hpp"
#include "hbm_fast/laplace.hpp"

namespace hbm_fast {

class Hmc final : public Chain {
 public:
  // The prior of alpha must be unbounded: a trajectory cannot be stopped at a wall.
  Hmc(const SufficientStatistics& statistics, const ModelView& model, const Whitening& start, Stream stream);

  void warm_up(std::size_t i, std::size_t n) override;
  StepStatistics step() override;
  void start_at(double log_alpha, const double* log_beta) override;
  double parameters(double* log_beta) const override;

 private:
  PosteriorDensity density_;
  Whitening whitening_;
  Stream stream_;
  DualAveraging adaptation_;
  double step_size_;
  double log_density_;
  // current state, proposal; gradients are with respect to z
  std::vector<double> z_, y_, gradient_, new_z_, new_y_, new_gradient_, momentum_;
};

}  // namespace hbm_fast
