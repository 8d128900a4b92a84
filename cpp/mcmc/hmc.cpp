#include "mcmc/hmc.hpp"

#include <algorithm>
#include <cmath>

#include "simulation/variates.hpp"

namespace hbm_fast {
namespace {

// In whitened coordinates the posterior is nearly a standard normal, whose half period is pi: trajectories of 1.5 to 3
// end negatively correlated with their start. At an acceptance of 0.85 such a trajectory takes two or three steps.
constexpr double target_acceptance = 0.85;
constexpr double shortest = 1.5;
constexpr double longest = 3.0;
constexpr double divergence = 1000.0;  // an energy error beyond this one is not rounding or curvature

double half_square(const std::vector<double>& momentum) {
  double sum = 0.0;
  for (const double p : momentum) sum += p * p;
  return 0.5 * sum;
}

}  // namespace

Hmc::Hmc(const SufficientStatistics& statistics, const ModelView& model, const Preparation& preparation,
         const Start& start)
    : density_(statistics, model),
      plain_(statistics, model),
      preparation_(preparation),
      stream_(start.stream),
      z_(density_.dimension()),
      y_(z_),
      gradient_(z_),
      new_z_(z_),
      new_y_(z_),
      new_gradient_(z_),
      momentum_(z_),
      log_beta_(start.log_beta),
      concentration_(unknown_concentration(model, preparation, start)) {
  const DualAveraging first(1.5 * std::pow(static_cast<double>(z_.size()), -0.25), target_acceptance);
  adaptation_.assign(preparation.regions.size(), first);
  step_size_.assign(preparation.regions.size(), first.step());
  if (concentration_) density_.set_concentration(concentration_->value());
  enter(preparation.region_of(start.log_alpha), start.log_alpha, start.log_beta.data());
}

void Hmc::enter(std::size_t region, double log_alpha, const double* log_beta) {
  region_ = region;
  whitening_ = &preparation_.regions[region].whitening;
  density_.use(preparation_.regions[region].coordinate);
  density_.coordinates(log_alpha, log_beta, y_.data());
  arrive();
}

void Hmc::arrive() {
  log_density_ = density_.value(y_.data(), gradient_.data());
  whitening_->from_coordinates(y_.data(), z_.data());
  whitening_->pull_back(gradient_.data(), gradient_.data());
}

void Hmc::jump_between_modes() {
  double log_alpha = density_.parameters(y_.data(), log_beta_.data());
  double log_posterior = log_density_ - density_.coordinate_part(y_.data());
  if (jump(*preparation_.jumps, plain_, stream_, log_alpha, log_beta_.data(), log_posterior)) {
    enter(preparation_.region_of(log_alpha), log_alpha, log_beta_.data());
  }
}

void Hmc::draw_concentration() {
  concentration_->draw(stream_, *preparation_.tables, density_, y_.data());
  plain_.set_concentration(concentration_->value());
  arrive();
}

StepStatistics Hmc::step() {
  if (concentration_) draw_concentration();
  if (preparation_.jumps) jump_between_modes();
  const std::size_t dimension = z_.size();
  const double step_size = step_size_[region_];
  for (double& p : momentum_) p = normal(stream_);
  const double energy = half_square(momentum_) - log_density_;
  // Randomised trajectory length avoids periodic orbits.
  const double length = shortest + (longest - shortest) * stream_.uniform();
  const int n_steps = static_cast<int>(std::clamp(std::ceil(length / step_size), 1.0, 1000.0));
  const double epsilon = std::min(length / n_steps, step_size);

  StepStatistics result;
  result.step_size = step_size;
  new_z_ = z_;
  new_gradient_ = gradient_;
  double new_log_density = log_density_;
  for (std::size_t k = 0; k < dimension; ++k) momentum_[k] += 0.5 * epsilon * new_gradient_[k];
  for (int i = 1; i <= n_steps; ++i) {
    for (std::size_t k = 0; k < dimension; ++k) new_z_[k] += epsilon * momentum_[k];
    whitening_->to_coordinates(new_z_.data(), new_y_.data());
    new_log_density = density_.value(new_y_.data(), new_gradient_.data());
    result.n_evaluations = i;
    if (!(std::abs(new_log_density - log_density_) < divergence)) break;
    whitening_->pull_back(new_gradient_.data(), new_gradient_.data());
    const double kick = i == n_steps ? 0.5 * epsilon : epsilon;
    for (std::size_t k = 0; k < dimension; ++k) momentum_[k] += kick * new_gradient_[k];
  }
  const double error = half_square(momentum_) - new_log_density - energy;
  result.diverging = !(error < divergence);
  result.acceptance = result.diverging ? 0.0 : std::min(1.0, std::exp(-error));
  bool accepted = !result.diverging && stream_.uniform() < result.acceptance;
  if (accepted && preparation_.jumps) {
    accepted = preparation_.region_of(density_.parameters(new_y_.data(), log_beta_.data())) == region_;
  }
  if (accepted) {
    z_.swap(new_z_);
    y_.swap(new_y_);
    gradient_.swap(new_gradient_);
    log_density_ = new_log_density;
  }
  result.log_density = log_density_ - density_.coordinate_part(y_.data());
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

double Hmc::parameters(double* log_beta) const { return density_.parameters(y_.data(), log_beta); }

}  // namespace hbm_fast
