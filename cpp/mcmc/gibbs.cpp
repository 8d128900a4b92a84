#include "mcmc/gibbs.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/limits.hpp"
#include "math/special.hpp"
#include "mcmc/dirichlet_block.hpp"
#include "mcmc/slice.hpp"
#include "simulation/variates.hpp"

namespace hbm_fast {
namespace {

// The step has no use for the posterior's density, which would cost more than the step; what the slice leaves there is
// another density.
StepStatistics without_density(StepStatistics result) {
  result.log_density = std::numeric_limits<double>::quiet_NaN();
  return result;
}

}  // namespace

Gibbs::Gibbs(const SufficientStatistics& statistics, const ModelView& model, const Preparation& preparation,
             const Start& start)
    : density_(statistics, model),
      stream_(start.stream),
      preparation_(preparation),
      log_alpha_(start.log_alpha),
      log_beta_(start.log_beta),
      tables_(statistics.n_categories()),
      y_(density_.dimension()),
      concentration_(unknown_concentration(model, preparation, start)) {
  const auto totals = statistics.total_value_weights();
  const double alpha = std::exp(std::clamp(log_alpha_, -log_alpha_range, log_alpha_range));
  double curvature = 0.0;  // of the density of log alpha given the tables: sum_n sum_j alpha j / (alpha + j)^2
  for (std::size_t i = 0; i < totals.values.size(); ++i) {
    n_nonempty_ += totals.weights[i];
    curvature += totals.weights[i] * alpha *
                 (digamma_difference(alpha, totals.values[i]) + alpha * -trigamma_difference(alpha, totals.values[i]));
  }
  // a distinct total costs as much as eight exceedances
  few_totals_ = totals.values.empty() || 8.0 * static_cast<double>(totals.values.size()) < totals.values.back();
  // three standard deviations of log alpha given the crp_tables, within the reach of a few doublings
  width_ = std::clamp(3.0 / std::sqrt(curvature + 0.1), 0.01, 8.0);
}

double Gibbs::log_density_of_alpha(double log_alpha, double n_tables) {
  double value = density_.model().alpha.log_density(log_alpha);
  if (!std::isfinite(value)) return value;
  const double alpha = std::exp(std::min(log_alpha, log_alpha_range));
  value += (n_tables - n_nonempty_) * log_alpha;  // the level j = 0 apart: it alone needs log alpha
  if (few_totals_) {
    const auto totals = density_.statistics().total_value_weights();
    for (std::size_t i = 0; i < totals.values.size(); ++i) {
      value -= totals.weights[i] * log_rising(alpha + 1.0, totals.values[i] - 1.0);
    }
  } else {
    const auto totals = density_.statistics().total_exceedances();
    for (std::size_t j = 1; j < totals.size(); ++j) value -= totals[j] * std::log(alpha + static_cast<double>(j));
  }
  return value;
}

StepStatistics Gibbs::step() {
  const ModelView& model = density_.model();
  StepStatistics result;
  result.step_size = width_;
  if (preparation_.jumps) {
    if (concentration_) density_.set_concentration(concentration_->value());
    double current = log_posterior();
    jump(*preparation_.jumps, density_, stream_, log_alpha_, log_beta_.data(), current);
  }
  const bool alpha_fixed = model.alpha.kind == AlphaKind::fixed;
  if (model.beta.fixed) {
    if (!alpha_fixed) {
      log_alpha_ = slice(stream_, log_alpha_, width_, [&](double t) { return density_.value(&t, nullptr); }, result);
    }
    return without_density(result);
  }
  preparation_.tables->draw(stream_, log_alpha_, log_beta_.data(), tables_.data());
  if (!alpha_fixed) {
    double n_tables = 0.0;
    for (const double m : tables_) n_tables += m;
    log_alpha_ =
        slice(stream_, log_alpha_, width_, [&](double t) { return log_density_of_alpha(t, n_tables); }, result);
  }
  if (concentration_) {
    concentration_->draw(stream_, tables_, log_beta_.data());
    return without_density(result);
  }
  for (std::size_t k = 0; k < tables_.size(); ++k) tables_[k] += model.beta.values[k];
  log_dirichlet_block(stream_, tables_.data(), tables_.size(), log_beta_.data());
  return without_density(result);
}

double Gibbs::log_posterior() {
  density_.coordinates(log_alpha_, log_beta_.data(), y_.data());
  return density_.value(y_.data(), nullptr) - density_.coordinate_part(y_.data());
}

double Gibbs::log_concentration() const {
  return concentration_ ? concentration_->log_value() : Chain::log_concentration();
}

double Gibbs::parameters(double* log_beta) const {
  std::copy(log_beta_.begin(), log_beta_.end(), log_beta);
  return log_alpha_;
}

}  // namespace hbm_fast
