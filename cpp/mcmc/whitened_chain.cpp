#include "mcmc/whitened_chain.hpp"

namespace hbm_fast {

WhitenedChain::WhitenedChain(const SufficientStatistics& statistics, const ModelView& model,
                             const Preparation& preparation, const Start& start)
    : density_(statistics, model),
      preparation_(preparation),
      stream_(start.stream),
      here_(density_.dimension()),
      there_(here_),
      log_beta_(start.log_beta),
      plain_(statistics, model),
      concentration_(unknown_concentration(model, preparation, start)) {
  if (concentration_) density_.set_concentration(concentration_->value());
}

void WhitenedChain::use_region(std::size_t region) {
  region_ = region;
  whitening_ = &preparation_.regions[region].whitening;
  density_.use(preparation_.regions[region].coordinate);
}

void WhitenedChain::enter(double log_alpha, const double* log_beta) {
  density_.coordinates(log_alpha, log_beta, here_.y.data());
  arrive();
}

void WhitenedChain::begin_step() {
  if (concentration_) {
    concentration_->draw(stream_, *preparation_.tables, density_, here_.y.data());
    plain_.set_concentration(concentration_->value());
    arrive();
  }
  if (!preparation_.jumps) return;
  double log_alpha = density_.parameters(here_.y.data(), log_beta_.data());
  double current = here_.log_density - density_.coordinate_part(here_.y.data());
  if (jump(*preparation_.jumps, plain_, stream_, log_alpha, log_beta_.data(), current)) {
    enter(log_alpha, log_beta_.data());
  }
}

double WhitenedChain::log_posterior() const {
  const double value = here_.log_density - density_.coordinate_part(here_.y.data());
  return concentration_ ? value + concentration_->log_density() : value;
}

double WhitenedChain::log_concentration() const {
  return concentration_ ? concentration_->log_value() : Chain::log_concentration();
}

double WhitenedChain::parameters(double* log_beta) const { return density_.parameters(here_.y.data(), log_beta); }

}  // namespace hbm_fast
