#include "hbm_fast/metropolis.hpp"

#include <algorithm>
#include <cmath>

#include "hbm_fast/variates.hpp"

namespace hbm_fast {
namespace {

constexpr int max_proposals = 32;

// Optimal scaling: .44 in one dimension, .234 in many (Roberts & Rosenthal 2001, doi:10.1214/ss/1015346320).
double target_acceptance(std::size_t dimension) { return 0.234 + 0.206 / static_cast<double>(dimension); }

}  // namespace

Metropolis::Metropolis(const SufficientStatistics& statistics, const ModelView& model, const Whitening& start, Stream stream)
    : density_(statistics, model),
      whitening_(start),
      stream_(stream),
      adaptation_(2.38 / std::sqrt(static_cast<double>(start.dimension())), target_acceptance(start.dimension())),
      step_size_(adaptation_.step()),
      log_density_(0.0),
      z_(start.dimension()),
      y_(z_), new_z_(z_), new_y_(z_) {
  log_density_ = draw_start(density_, whitening_, stream_, z_.data(), y_.data());
}

StepStatistics Metropolis::step() {
  const int n_proposals = static_cast<int>(std::min<std::size_t>(z_.size(), max_proposals));
  StepStatistics result;
  result.step_size = step_size_;
  result.n_evaluations = n_proposals;
  double accepted = 0.0;
  for (int i = 0; i < n_proposals; ++i) {
    for (std::size_t k = 0; k < z_.size(); ++k) new_z_[k] = z_[k] + step_size_ * normal(stream_);
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
  result.log_density = log_density_;
  return result;
}

void Metropolis::warm_up(std::size_t i, std::size_t n) {
  adaptation_.add(step().acceptance);
  step_size_ = adaptation_.step();
  if (i + 1 == n) step_size_ = adaptation_.average();
}

void Metropolis::start_at(double log_alpha, const double* log_beta) {
  density_.coordinates(log_alpha, log_beta, new_y_.data());
  const double value = density_.value(new_y_.data(), nullptr);
  if (!std::isfinite(value)) return;
  y_.swap(new_y_);
  whitening_.from_coordinates(y_.data(), z_.data());
  log_density_ = value;
}

double Metropolis::parameters(double* log_beta) const { return density_.parameters(y_.data(), log_beta); }

}  // namespace hbm_fast
