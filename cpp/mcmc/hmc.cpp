#include "mcmc/hmc.hpp"

#include <cmath>

namespace hbm_fast {

Hmc::Hmc(const SufficientStatistics& statistics, const ModelView& model, const Preparation& preparation,
         const Start& start)
    : density_(statistics, model),
      plain_(statistics, model),
      preparation_(preparation),
      stream_(start.stream),
      here_(density_.dimension()),
      there_(here_),
      momentum_(density_.dimension()),
      log_beta_(start.log_beta),
      concentration_(unknown_concentration(model, preparation, start)) {
  const DualAveraging first = hamiltonian_adaptation(momentum_.size());
  adaptation_.assign(preparation.regions.size(), first);
  step_size_.assign(preparation.regions.size(), first.step());
  if (concentration_) density_.set_concentration(concentration_->value());
  enter(preparation.region_of(start.log_alpha), start.log_alpha, start.log_beta.data());
}

void Hmc::enter(std::size_t region, double log_alpha, const double* log_beta) {
  region_ = region;
  whitening_ = &preparation_.regions[region].whitening;
  density_.use(preparation_.regions[region].coordinate);
  density_.coordinates(log_alpha, log_beta, here_.y.data());
  arrive();
}

void Hmc::arrive() {
  here_.log_density = density_.value(here_.y.data(), here_.gradient.data());
  whitening_->from_coordinates(here_.y.data(), here_.z.data());
  whitening_->pull_back(here_.gradient.data(), here_.gradient.data());
}

void Hmc::jump_between_modes() {
  double log_alpha = density_.parameters(here_.y.data(), log_beta_.data());
  double log_posterior = here_.log_density - density_.coordinate_part(here_.y.data());
  if (jump(*preparation_.jumps, plain_, stream_, log_alpha, log_beta_.data(), log_posterior)) {
    enter(preparation_.region_of(log_alpha), log_alpha, log_beta_.data());
  }
}

void Hmc::draw_concentration() {
  concentration_->draw(stream_, *preparation_.tables, density_, here_.y.data());
  plain_.set_concentration(concentration_->value());
  arrive();
}

StepStatistics Hmc::step() {
  if (concentration_) draw_concentration();
  if (preparation_.jumps) jump_between_modes();
  const auto evaluate = [&](WhitenedPoint& point) {
    whitening_->to_coordinates(point.z.data(), point.y.data());
    point.log_density = density_.value(point.y.data(), point.gradient.data());
    whitening_->pull_back(point.gradient.data(), point.gradient.data());
  };
  const auto stays_in_region = [&](const WhitenedPoint& point) {
    if (!preparation_.jumps) return true;
    return preparation_.region_of(density_.parameters(point.y.data(), log_beta_.data())) == region_;
  };
  StepStatistics result =
      hamiltonian_step(stream_, step_size_[region_], here_, there_, momentum_, evaluate, stays_in_region);
  result.log_density = here_.log_density - density_.coordinate_part(here_.y.data());
  if (concentration_) result.log_density += concentration_->log_density();
  return result;
}

void Hmc::warm_up(std::size_t i, std::size_t n) {
  const double acceptance = step().acceptance;
  adaptation_[region_].add(acceptance);
  step_size_[region_] = adaptation_[region_].step();
  if (i + 1 < n) return;
  for (std::size_t r = 0; r < step_size_.size(); ++r) step_size_[r] = adaptation_[r].average();
}

double Hmc::log_concentration() const {
  return concentration_ ? concentration_->log_value() : Chain::log_concentration();
}

double Hmc::parameters(double* log_beta) const { return density_.parameters(here_.y.data(), log_beta); }

}  // namespace hbm_fast
