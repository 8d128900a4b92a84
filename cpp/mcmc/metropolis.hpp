// Adaptive random-walk Metropolis on the whitened coordinates of PosteriorDensity (Haario et al. 2001,
// doi:10.2307/3318737; scaled as Roberts & Rosenthal 2009, doi:10.1198/jcgs.2009.06134). One step is `dimension`
// proposals (at most 32), so that the draws kept are not much more alike for many categories. While warming up the
// covariance of the proposals and their size follow the chain; then both are frozen. The covariance is full up to 32
// dimensions, where a warm-up can show one; beyond, its diagonal. An unknown concentration of beta is drawn before each
// step, with beta, given alpha.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "mcmc/hamiltonian.hpp"
#include "mcmc/start.hpp"

namespace hbm_fast {

class Metropolis final : public Chain {
 public:
  // `preparation` outlives the chain, which moves on the coordinates of the region that it starts in.
  Metropolis(const SufficientStatistics& statistics, const ModelView& model, const Preparation& preparation,
             const Start& start);

  void warm_up(std::size_t i, std::size_t n) override;
  StepStatistics step() override;
  double parameters(double* log_beta) const override;
  double log_concentration() const override;

 private:
  void go_to(double log_alpha, const double* log_beta);
  void arrive();  // at y_: the density there
  void draw_concentration();
  void observe();
  void reshape();
  void propose();

  PosteriorDensity density_;
  PosteriorDensity plain_;  // in v = log alpha, for jumps
  const Preparation& preparation_;
  const Whitening& whitening_;
  Stream stream_;
  DualAveraging adaptation_;
  double step_size_;
  double log_density_;
  std::vector<double> z_, y_, new_z_, new_y_, noise_, log_beta_;
  std::optional<Concentration> concentration_;

  // Proposals are new z = z + step size * factor * noise: a lower triangle by rows, or the diagonal alone.
  bool full_;
  std::vector<double> factor_;
  // Of the chain while it warms up: sums of products of deviations from a running mean, in the layout of the factor.
  double n_observed_ = 0.0;
  std::vector<double> mean_, products_;
};

}  // namespace hbm_fast
