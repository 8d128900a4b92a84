#include "mcmc/metropolis.hpp"

#include <algorithm>
#include <cmath>

#include "simulation/variates.hpp"

namespace hbm_fast {
namespace {

constexpr int max_proposals = 32;
constexpr std::size_t most_dimensions = 32;  // of a full covariance
// The whitening's guess, the identity, counts as this many observations for each dimension.
constexpr double prior_observations = 5.0;

double first_step(std::size_t dimension) { return 2.38 / std::sqrt(static_cast<double>(dimension)); }

// Optimal scaling: 0.44 in one dimension, 0.234 in many (Roberts & Rosenthal 2001, doi:10.1214/ss/1015346320).
double target_acceptance(std::size_t dimension) { return 0.234 + 0.206 / static_cast<double>(dimension); }

}  // namespace

Metropolis::Metropolis(const SufficientStatistics& statistics, const ModelView& model, const Preparation& preparation,
                       const Start& start)
    : density_(statistics, model),
      plain_(statistics, model),
      preparation_(preparation),
      whitening_(preparation.regions[preparation.region_of(start.log_alpha)].whitening),
      stream_(start.stream),
      adaptation_(first_step(density_.dimension()), target_acceptance(density_.dimension())),
      step_size_(adaptation_.step()),
      log_density_(0.0),
      z_(density_.dimension()),
      y_(z_),
      new_z_(z_),
      new_y_(z_),
      noise_(z_),
      log_beta_(start.log_beta),
      concentration_(unknown_concentration(model, preparation, start)),
      full_(z_.size() <= most_dimensions),
      mean_(z_.size()) {
  reshape();  // without observations: the identity
  density_.use(preparation.regions[preparation.region_of(start.log_alpha)].coordinate);
  if (concentration_) density_.set_concentration(concentration_->value());
  go_to(start.log_alpha, start.log_beta.data());
}

void Metropolis::go_to(double log_alpha, const double* log_beta) {
  density_.coordinates(log_alpha, log_beta, y_.data());
  arrive();
}

void Metropolis::arrive() {
  log_density_ = density_.value(y_.data(), nullptr);
  whitening_.from_coordinates(y_.data(), z_.data());
}

void Metropolis::draw_concentration() {
  concentration_->draw(stream_, *preparation_.tables, density_, y_.data());
  plain_.set_concentration(concentration_->value());
  arrive();
}

StepStatistics Metropolis::step() {
  const int n_proposals = static_cast<int>(std::min<std::size_t>(z_.size(), max_proposals));
  StepStatistics result;
  result.step_size = step_size_;
  result.n_evaluations = n_proposals;
  if (concentration_) draw_concentration();
  if (preparation_.jumps) {
    double log_alpha = density_.parameters(y_.data(), log_beta_.data());
    double log_posterior = log_density_ - density_.coordinate_part(y_.data());
    if (jump(*preparation_.jumps, plain_, stream_, log_alpha, log_beta_.data(), log_posterior)) {
      go_to(log_alpha, log_beta_.data());
    }
  }
  double accepted = 0.0;
  for (int i = 0; i < n_proposals; ++i) {
    propose();
    whitening_.to_coordinates(new_z_.data(), new_y_.data());
    const double proposed = density_.value(new_y_.data(), nullptr);
    const double probability = proposed > log_density_ ? 1.0 : std::exp(proposed - log_density_);
    const double u = stream_.uniform();
    if (!std::isnan(proposed)) accepted += probability;
    if (u < probability) {
      z_.swap(new_z_);
      y_.swap(new_y_);
      log_density_ = proposed;
    }
  }
  result.acceptance = accepted / n_proposals;
  result.log_density = log_density_ - density_.coordinate_part(y_.data());
  if (concentration_) result.log_density += concentration_->log_density();
  return result;
}

void Metropolis::propose() {
  for (double& e : noise_) e = step_size_ * normal(stream_);
  if (!full_) {
    for (std::size_t k = 0; k < z_.size(); ++k) new_z_[k] = z_[k] + factor_[k] * noise_[k];
    return;
  }
  const double* row = factor_.data();
  for (std::size_t k = 0; k < z_.size(); row += ++k) {
    double move = 0.0;
    for (std::size_t j = 0; j <= k; ++j) move += row[j] * noise_[j];
    new_z_[k] = z_[k] + move;
  }
}

void Metropolis::observe() {
  n_observed_ += 1.0;
  // the last proposal's noise is no longer needed
  std::vector<double>& deviation = noise_;
  for (std::size_t k = 0; k < z_.size(); ++k) {
    deviation[k] = z_[k] - mean_[k];
    mean_[k] += deviation[k] / n_observed_;
  }
  const double weight = 1.0 - 1.0 / n_observed_;
  double* sum = products_.data();
  for (std::size_t k = 0; k < z_.size(); ++k) {
    for (std::size_t j = full_ ? 0 : k; j <= k; ++j) *sum++ += weight * deviation[k] * deviation[j];
  }
}

// The factor of what was observed, shrunk towards the identity; then a fresh start of the observations.
void Metropolis::reshape() {
  const std::size_t dimension = z_.size();
  const std::size_t size = full_ ? dimension * (dimension + 1) / 2 : dimension;
  products_.resize(size);
  factor_ = products_;
  const double guess = prior_observations * static_cast<double>(dimension);
  const double n = n_observed_ + guess;
  for (double& c : factor_) c /= n;
  if (full_) {
    // Cholesky, in place
    for (std::size_t k = 0; k < dimension; ++k) {
      double* row = factor_.data() + k * (k + 1) / 2;
      for (std::size_t j = 0; j <= k; ++j) {
        const double* other = factor_.data() + j * (j + 1) / 2;
        double rest = row[j] + (j == k ? guess / n : 0.0);
        for (std::size_t i = 0; i < j; ++i) rest -= row[i] * other[i];
        row[j] = j == k ? std::sqrt(rest) : rest / other[j];
      }
    }
  } else {
    for (double& c : factor_) c = std::sqrt(c + guess / n);
  }
  n_observed_ = 0.0;
  std::fill(mean_.begin(), mean_.end(), 0.0);
  std::fill(products_.begin(), products_.end(), 0.0);
}

void Metropolis::warm_up(std::size_t i, std::size_t n) {
  adaptation_.add(step().acceptance);
  step_size_ = adaptation_.step();
  // The first eighth finds the mass and a size; the covariance comes at 6/8, and the last quarter fits the size to it.
  if (8 * i >= n && 8 * i < 6 * n) observe();
  if (i + 1 == 6 * n / 8) {
    reshape();
    adaptation_ = DualAveraging(first_step(z_.size()), target_acceptance(z_.size()));
    step_size_ = adaptation_.step();
  }
  if (i + 1 == n) step_size_ = adaptation_.average();
}

double Metropolis::log_concentration() const {
  return concentration_ ? concentration_->log_value() : Chain::log_concentration();
}

double Metropolis::parameters(double* log_beta) const { return density_.parameters(y_.data(), log_beta); }

}  // namespace hbm_fast
