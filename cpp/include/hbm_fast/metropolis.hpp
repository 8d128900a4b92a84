// Random-walk Metropolis on the whitened coordinates of PosteriorDensity. One step is `dimension` proposals (at most
// 32), so that its cost grows with K and its autocorrelation less. Adaptation is frozen after warm-up.
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
  double parameters(double* log_beta) const override;

 private:
  PosteriorDensity density_;
  Whitening whitening_;
  Stream stream_;
  DualAveraging adaptation_;
  Reshaper reshaper_;
  double step_size_;
  double log_density_;
  std::vector<double> z_, y_, new_z_, new_y_;
};

}  // namespace hbm_fast
