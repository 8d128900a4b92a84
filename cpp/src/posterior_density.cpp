#include "hbm_fast/posterior_density.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace hbm_fast {
namespace {

// Outside this range of log alpha the likelihood is a power of alpha (below) or free of it (above), to double precision.
constexpr double lowest_log_alpha = -300.0;
constexpr double highest_log_alpha = 80.0;
// A concentration below this one only enters as a power too, which the floor is corrected for.
constexpr double floor_log = -660.0;

}  // namespace

PosteriorDensity::PosteriorDensity(const SufficientStatistics& statistics, const ModelView& model)
    : statistics_(statistics),
      model_(model),
      n_categories_(statistics.n_categories()),
      dimension_(model.beta.fixed ? 1 : n_categories_),
      log_beta_(n_categories_),
      concentration_(n_categories_),
      slopes_(n_categories_) {
  for (const double b : model.beta.values) prior_mass_ += b;
  if (model.beta.fixed) {
    for (std::size_t k = 0; k < n_categories_; ++k) log_beta_[k] = std::log(model.beta.values[k]);
  }
  for (const double groups : statistics.total_pairs().weights) scale_exponent_ -= groups;
  for (std::size_t k = 0; k < n_categories_; ++k) scale_exponent_ += statistics.n_positive(k);
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
  const bool alpha_fixed = model_.alpha.kind == AlphaKind::fixed;
  double* slopes = gradient != nullptr ? slopes_.data() : nullptr;

  if (model_.beta.fixed) {
    const double log_alpha = alpha_fixed ? std::log(model_.alpha.a) : y[0];
    const double prior = alpha_fixed ? -0.5 * y[0] * y[0] : model_.alpha.log_density(log_alpha);
    if (!(prior > -std::numeric_limits<double>::infinity())) return prior;
    const double likelihood = log_likelihood(log_alpha, log_beta_.data(), slopes);
    if (gradient != nullptr) {
      gradient[0] = alpha_fixed ? -y[0] : model_.alpha.log_density_slope(log_alpha);
      if (!alpha_fixed) {
        for (std::size_t k = 0; k < n_categories_; ++k) gradient[0] += slopes_[k];
      }
    }
    return prior + likelihood;
  }

  const double scale = parameters(y, log_beta_.data());  // log alpha, or what is fixed
  const double auxiliary = alpha_fixed ? y[0] - log_beta_[0] : 0.0;
  double value = alpha_fixed ? -0.5 * auxiliary * auxiliary : model_.alpha.log_density(scale);
  if (!(value > -std::numeric_limits<double>::infinity())) return value;
  for (std::size_t k = 0; k < n_categories_; ++k) value += model_.beta.values[k] * log_beta_[k];
  value += log_likelihood(scale, log_beta_.data(), slopes);
  if (gradient == nullptr) return value;

  // d log beta_j / d y_k = [j = k] - beta_k, d log alpha / d y_k = beta_k
  double along_scale = (alpha_fixed ? -auxiliary : model_.alpha.log_density_slope(scale)) - prior_mass_;
  if (alpha_fixed) {
    for (std::size_t k = 0; k < n_categories_; ++k) along_scale -= slopes_[k];
  }
  for (std::size_t k = 0; k < n_categories_; ++k) {
    gradient[k] = model_.beta.values[k] + slopes_[k] + std::exp(log_beta_[k]) * along_scale;
  }
  return value;
}

double PosteriorDensity::parameters(const double* y, double* log_beta) const {
  const bool alpha_fixed = model_.alpha.kind == AlphaKind::fixed;
  if (model_.beta.fixed) {
    for (std::size_t k = 0; k < n_categories_; ++k) log_beta[k] = std::log(model_.beta.values[k]);
    return alpha_fixed ? std::log(model_.alpha.a) : y[0];
  }
  // The largest apart, by log1p: a beta near 1 keeps its digits.
  const std::size_t top = static_cast<std::size_t>(std::max_element(y, y + n_categories_) - y);
  double rest = 0.0;
  for (std::size_t k = 0; k < n_categories_; ++k) {
    if (k != top) rest += std::exp(y[k] - y[top]);
  }
  const double log_rest = std::log1p(rest);
  for (std::size_t k = 0; k < n_categories_; ++k) log_beta[k] = (y[k] - y[top]) - log_rest;
  return alpha_fixed ? std::log(model_.alpha.a) : y[top] + log_rest;
}

void PosteriorDensity::coordinates(double log_alpha, const double* log_beta, double* y) const {
  if (model_.beta.fixed) {
    y[0] = log_alpha;
    return;
  }
  const double shift = model_.alpha.kind == AlphaKind::fixed ? 0.0 : log_alpha;
  for (std::size_t k = 0; k < n_categories_; ++k) y[k] = shift + log_beta[k];
}

}  // namespace hbm_fast
