#include "mcmc/hmc.hpp"

#include <cmath>

namespace hbm_fast {

Hmc::Hmc(const SufficientStatistics& statistics, const ModelView& model, const Preparation& preparation,
         const Start& start)
    : WhitenedChain(statistics, model, preparation, start), momentum_(density_.dimension()) {
  const DualAveraging first = hamiltonian_adaptation(momentum_.size());
  adaptation_.assign(preparation.regions.size(), first);
  step_size_.assign(preparation.regions.size(), first.step());
  enter(start.log_alpha, start.log_beta.data());
}

void Hmc::enter(double log_alpha, const double* log_beta) {
  use_region(preparation_.region_of(log_alpha));
  WhitenedChain::enter(log_alpha, log_beta);
}

void Hmc::arrive() {
  here_.log_density = density_.value(here_.y.data(), here_.gradient.data());
  whitening_->from_coordinates(here_.y.data(), here_.z.data());
  whitening_->pull_back(here_.gradient.data(), here_.gradient.data());
}

StepStatistics Hmc::step() {
  begin_step();
  const auto evaluate = [&](WhitenedPoint& point) {
    whitening_->to_coordinates(point.z.data(), point.y.data());
    point.log_density = density_.value(point.y.data(), point.gradient.data());
    // where the density differs by more the trajectory ends, and the gradient stays as it is
    if (std::abs(point.log_density - here_.log_density) < divergence) {
      whitening_->pull_back(point.gradient.data(), point.gradient.data());
    }
  };
  const auto stays_in_region = [&](const WhitenedPoint& point) {
    if (!preparation_.jumps) return true;
    return preparation_.region_of(density_.parameters(point.y.data(), log_beta_.data())) == region_;
  };
  StepStatistics result =
      hamiltonian_step(stream_, step_size_[region_], here_, there_, momentum_, evaluate, stays_in_region);
  result.log_density = log_posterior();
  return result;
}

void Hmc::warm_up(std::size_t i, std::size_t n) {
  const double acceptance = step().acceptance;
  adaptation_[region_].add(acceptance);
  step_size_[region_] = adaptation_[region_].step();
  if (i + 1 < n) return;
  for (std::size_t r = 0; r < step_size_.size(); ++r) step_size_[r] = adaptation_[r].average();
}

}  // namespace hbm_fast
