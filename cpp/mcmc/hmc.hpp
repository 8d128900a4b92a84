// Hamiltonian Monte Carlo on the whitened coordinates of PosteriorDensity: analytic gradient, dual-averaged step,
// jittered trajectory length (Neal 2011, arXiv:1206.1901). Where the posterior has several modes of alpha, each has a
// region with its own coordinates and step size; a trajectory that leaves its region is rejected (so that the reverse
// move has the same coordinates), and jumps move between regions. An unknown concentration of beta is drawn before each
// trajectory, with beta, given alpha.
#pragma once

#include <optional>
#include <vector>

#include "mcmc/hamiltonian.hpp"
#include "mcmc/start.hpp"

namespace hbm_fast {

class Hmc final : public Chain {
 public:
  // `preparation` outlives the chain.
  Hmc(const SufficientStatistics& statistics, const ModelView& model, const Preparation& preparation,
      const Start& start);

  void warm_up(std::size_t i, std::size_t n) override;
  StepStatistics step() override;
  double parameters(double* log_beta) const override;
  double log_concentration() const override;

 private:
  void enter(std::size_t region, double log_alpha, const double* log_beta);
  void arrive();  // at here_.y: the density and its gradient there
  void jump_between_modes();
  void draw_concentration();

  PosteriorDensity density_;
  PosteriorDensity plain_;  // in v = log alpha, for jumps
  const Preparation& preparation_;
  std::size_t region_ = 0;
  const Whitening* whitening_ = nullptr;  // of the region
  Stream stream_;
  std::vector<DualAveraging> adaptation_;  // one for each region
  std::vector<double> step_size_;
  WhitenedPoint here_, there_;
  std::vector<double> momentum_, log_beta_;
  std::optional<Concentration> concentration_;
};

}  // namespace hbm_fast
