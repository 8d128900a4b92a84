#include "mcmc/posterior_density.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/limits.hpp"
#include "math/sum.hpp"

namespace hbm_fast {
namespace {

// Below this log alpha the likelihood is a power of alpha, to double precision.
constexpr double lowest_log_alpha = -log_alpha_range;
// A concentration below exp of this one enters only as a power too, by which the value is corrected.
constexpr double floor_log = -660.0;

// log(1 / (1 + exp(-x)))
double log_logistic(double x) { return x > 0.0 ? -std::log1p(std::exp(-x)) : x - std::log1p(std::exp(x)); }

double logistic(double x) { return 1.0 / (1.0 + std::exp(-x)); }

}  // namespace

AlphaCoordinate AlphaCoordinate::around(const AlphaPrior& prior, double log_alpha) {
  AlphaCoordinate result;
  if (!prior.bounded()) return result;
  result.bounded = true;
  result.low = std::log(prior.lower);
  result.width = std::log(prior.upper) - result.low;
  // the nearest a point may be to a wall, as a share of the width: there the slope's scale is still a normal number
  constexpr double nearest = 1e-12;
  const double p = std::clamp((log_alpha - result.low) / result.width, nearest, 1.0 - nearest);
  result.scale = result.width * p * (1.0 - p);
  result.shift = result.low + result.width * p - result.scale * (std::log(p) - std::log1p(-p));
  return result;
}

double AlphaCoordinate::log_alpha(double v) const { return bounded ? low + width * logistic((v - shift) / scale) : v; }

double AlphaCoordinate::inverse(double log_alpha) const {
  if (!bounded) return log_alpha;
  const double p = (log_alpha - low) / width;
  return shift + scale * (std::log(p) - std::log1p(-p));
}

double AlphaCoordinate::slope(double v) const { return bounded ? std::exp(log_slope(v)) : 1.0; }

double AlphaCoordinate::log_slope(double v) const {
  if (!bounded) return 0.0;
  const double x = (v - shift) / scale;
  return std::log(width / scale) + log_logistic(x) + log_logistic(-x);
}

double AlphaCoordinate::log_slope_derivative(double v) const {
  return bounded ? -std::tanh(0.5 * (v - shift) / scale) / scale : 0.0;
}

double AlphaCoordinate::log_slope_curvature(double v) const {
  if (!bounded) return 0.0;
  const double p = logistic((v - shift) / scale);
  return 2.0 * p * (1.0 - p) / (scale * scale);
}

PosteriorDensity::PosteriorDensity(const SufficientStatistics& statistics, const ModelView& model)
    : statistics_(statistics),
      model_(model),
      n_categories_(statistics.n_categories()),
      dimension_(model.beta.fixed ? 1 : n_categories_),
      alpha_fixed_(model.alpha.kind == AlphaKind::fixed),
      fixed_log_alpha_(alpha_fixed_ ? std::log(model.alpha.a) : 0.0),
      dirichlet_(model.beta.values),
      log_beta_(n_categories_),
      concentration_(n_categories_),
      slopes_(n_categories_) {
  for (const double b : dirichlet_) prior_mass_ += b;
  if (model.beta.fixed) {
    for (std::size_t k = 0; k < n_categories_; ++k) log_beta_[k] = std::log(model.beta.values[k]);
  }
  for (const double groups : statistics.total_value_weights().weights) scale_exponent_ -= groups;
  for (std::size_t k = 0; k < n_categories_; ++k) scale_exponent_ += statistics.n_positive(k);
}

void PosteriorDensity::set_concentration(double concentration) {
  std::fill(dirichlet_.begin(), dirichlet_.end(), concentration);
  prior_mass_ = static_cast<double>(n_categories_) * concentration;
}

double PosteriorDensity::log_likelihood(double log_alpha, const double* log_beta, double* slopes) {
  const double inside = std::clamp(log_alpha, lowest_log_alpha, highest_log_alpha);
  double correction = log_alpha < lowest_log_alpha ? scale_exponent_ * (log_alpha - lowest_log_alpha) : 0.0;
  for (std::size_t k = 0; k < n_categories_; ++k) {
    const double y = inside + log_beta[k];
    concentration_[k] = std::exp(std::max(y, floor_log));
    if (y < floor_log) correction += statistics_.n_positive(k) * (y - floor_log);
  }
  const double value = statistics_.log_likelihood(concentration_.data(), slopes);
  if (slopes != nullptr) {
    for (std::size_t k = 0; k < n_categories_; ++k) slopes[k] *= concentration_[k];
  }
  return value + correction;
}

double PosteriorDensity::value(const double* y, double* gradient) {
  double* slopes = gradient != nullptr ? slopes_.data() : nullptr;
  const double v = model_.beta.fixed ? y[0] : scale(y, log_beta_.data());
  const double log_alpha = alpha_fixed_ ? fixed_log_alpha_ : coordinate_.log_alpha(v);
  double value = alpha_fixed_ ? -0.5 * v * v : model_.alpha.log_density(log_alpha);
  if (coordinate_.bounded && !alpha_fixed_) value += coordinate_.log_slope(v);
  if (!(value > -std::numeric_limits<double>::infinity())) return value;
  if (!model_.beta.fixed) {
    for (std::size_t k = 0; k < n_categories_; ++k) value += dirichlet_[k] * log_beta_[k];
  }
  value += log_likelihood(log_alpha, log_beta_.data(), slopes);
  if (gradient == nullptr) return value;

  const double slope = alpha_fixed_ ? 0.0 : coordinate_.slope(v);  // d log alpha / dv
  double along_scale = -v;
  if (!alpha_fixed_)
    along_scale = slope * model_.alpha.log_density_slope(log_alpha) + coordinate_.log_slope_derivative(v);
  const double missing = model_.beta.fixed ? slope : slope - 1.0;
  if (missing != 0.0) {
    double sum = 0.0;
    for (std::size_t k = 0; k < n_categories_; ++k) sum += slopes_[k];
    along_scale += missing * sum;
  }
  if (model_.beta.fixed) {
    gradient[0] = along_scale;
    return value;
  }
  // d log beta_j / d y_k = [j = k] - beta_k, d v / d y_k = beta_k
  along_scale -= prior_mass_;
  for (std::size_t k = 0; k < n_categories_; ++k) {
    gradient[k] = dirichlet_[k] + slopes_[k] + std::exp(log_beta_[k]) * along_scale;
  }
  return value;
}

double PosteriorDensity::coordinate_part(const double* y) const {
  if (!alpha_fixed_ && !coordinate_.bounded) return 0.0;
  const double v = model_.beta.fixed ? y[0] : log_sum_exp(y, n_categories_);
  return alpha_fixed_ ? -0.5 * v * v : coordinate_.log_slope(v);
}

double PosteriorDensity::scale(const double* y, double* log_beta) const {
  // The largest apart, by log1p: a beta near 1 keeps its digits.
  const std::size_t top = static_cast<std::size_t>(std::max_element(y, y + n_categories_) - y);
  double rest = 0.0;
  for (std::size_t k = 0; k < n_categories_; ++k) {
    if (k != top) rest += std::exp(y[k] - y[top]);
  }
  const double log_rest = std::log1p(rest);
  for (std::size_t k = 0; k < n_categories_; ++k) log_beta[k] = (y[k] - y[top]) - log_rest;
  return y[top] + log_rest;
}

double PosteriorDensity::parameters(const double* y, double* log_beta) const {
  double v = y[0];
  if (model_.beta.fixed) {
    std::copy(log_beta_.begin(), log_beta_.end(), log_beta);
  } else {
    v = scale(y, log_beta);
  }
  return alpha_fixed_ ? fixed_log_alpha_ : coordinate_.log_alpha(v);
}

void PosteriorDensity::coordinates(double log_alpha, const double* log_beta, double* y) const {
  const double v = alpha_fixed_ ? 0.0 : coordinate_.inverse(log_alpha);
  if (model_.beta.fixed) {
    y[0] = v;
    return;
  }
  for (std::size_t k = 0; k < n_categories_; ++k) y[k] = v + log_beta[k];
}

}  // namespace hbm_fast
