// Random-walk Metropolis on the whitened coordinates of PosteriorDensity. One step is `dimension` proposals (at most
// 32), so that the draws kept are not much more alike for many categories. The size of the
// proposals is adapted while warming up, then frozen.
#pragma once

#include <vector>

#include "hbm_fast/adaptation.hpp"
#include "hbm_fast/chain.hpp"
#include "hbm_fast/laplace.hpp"

namespace hbm_fast {

class Metropolis final : public Chain {
 public:
  Metropolis(const SufficientStatistics& statistics, const ModelView& model, const Whitening& start, Stream stream);

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
  std::vector<double> z_, y_, new_z_, new_y_;
};

}  // namespace hbm_fast
