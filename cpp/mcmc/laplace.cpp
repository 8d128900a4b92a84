#include "mcmc/laplace.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/limits.hpp"
#include "math/sum.hpp"
#include "simulation/variates.hpp"

namespace hbm_fast {
namespace {

constexpr int max_newton_steps = 1000;  // a handful, but for priors far from alpha = 1

void normalise(std::vector<double>& direction) {
  const double length = std::sqrt(dot(direction, direction));
  for (double& w : direction) w /= length;
}

// Of the prior of v, the free coordinate for log alpha: its slope, and what the prior and the curvature of the
// coordinate give to the negative second derivative at a mode, where the likelihood's slope is minus the prior's.
struct PriorOfScale {
  double slope;
  double curvature;
};

PriorOfScale prior_of_scale(const PosteriorDensity& density, double log_alpha) {
  const AlphaPrior& prior = density.model().alpha;
  if (density.coordinate().bounded) {
    const AlphaCoordinate& coordinate = density.coordinate();
    const double v = coordinate.inverse(log_alpha);
    const double curvature_part = coordinate.log_slope_derivative(v);  // d^2 log alpha / dv^2 where the slope is 1
    const double of_prior = prior.log_density_slope(log_alpha);        // a constant of both bounded priors
    const double slope = of_prior + curvature_part;
    return {slope, coordinate.log_slope_curvature(v) - of_prior * curvature_part + slope * curvature_part};
  }
  return {prior.log_density_slope(log_alpha), -prior.log_density_curvature(log_alpha)};
}

}  // namespace

void Whitening::to_coordinates(const double* z, double* y) const {
  const double along = (stretch - 1.0) * dot(direction.data(), z, dimension());
  for (std::size_t k = 0; k < dimension(); ++k) y[k] = centre[k] + scale[k] * (z[k] + along * direction[k]);
}

void Whitening::from_coordinates(const double* y, double* z) const {
  for (std::size_t k = 0; k < dimension(); ++k) z[k] = (y[k] - centre[k]) / scale[k];
  const double along = (1.0 - 1.0 / stretch) * dot(direction.data(), z, dimension());
  for (std::size_t k = 0; k < dimension(); ++k) z[k] -= along * direction[k];
}

void Whitening::pull_back(const double* gradient_y, double* gradient_z) const {
  for (std::size_t k = 0; k < dimension(); ++k) gradient_z[k] = scale[k] * gradient_y[k];
  const double along = (stretch - 1.0) * dot(direction.data(), gradient_z, dimension());
  for (std::size_t k = 0; k < dimension(); ++k) gradient_z[k] += along * direction[k];
}

Whitening whitening_at(const PosteriorDensity& density, const double* y) {
  const std::size_t dimension = density.dimension();
  const std::size_t n_categories = density.n_categories();
  const ModelView& model = density.model();
  const bool alpha_fixed = density.alpha_fixed();
  std::vector<double> log_beta(n_categories);
  const double log_alpha = density.parameters(y, log_beta.data());

  Whitening result{std::vector<double>(y, y + dimension), std::vector<double>(dimension, 1.0),
                   std::vector<double>(dimension, 1.0), 1.0};
  if (model.beta.fixed && alpha_fixed) return result;

  // On y = log(alpha beta) the negative Hessian at the mode is diag(d) + c beta beta^T, with
  // d_k = b_k + sum_j c_kj (a_k/(a_k+j))^2 and c = - sum_j C_j (A/(A+j))^2 - sum b + the prior's part.
  std::vector<double> concentration(n_categories), d(n_categories);
  double total = 0.0;
  for (std::size_t k = 0; k < n_categories; ++k) {
    total += concentration[k] = std::exp(std::clamp(log_alpha + log_beta[k], -log_alpha_range, log_alpha_range));
  }
  const double shared = total * total * density.statistics().hessian(concentration.data(), d.data());
  double prior_mass = 0.0;
  for (std::size_t k = 0; k < n_categories; ++k) {
    const double b = model.beta.fixed ? 0.0 : model.beta.values[k];
    d[k] = b - concentration[k] * concentration[k] * d[k];
    prior_mass += b;
  }
  if (model.beta.fixed) {
    const PriorOfScale prior = prior_of_scale(density, log_alpha);
    double curvature = prior.slope + prior.curvature - shared;  // the prior's slope stands for the likelihood's
    for (std::size_t k = 0; k < n_categories; ++k) curvature += d[k];
    result.scale[0] = 1.0 / std::sqrt(std::max(curvature, 1e-4));
    return result;
  }
  for (std::size_t k = 0; k < dimension; ++k) result.scale[k] = 1.0 / std::sqrt(d[k]);
  if (alpha_fixed) {  // along (1, ..., 1) lies the auxiliary standard normal
    double sum = 0.0;
    for (std::size_t k = 0; k < dimension; ++k) {
      result.direction[k] = 1.0 / result.scale[k];
      sum += result.direction[k] * result.direction[k];
    }
    result.stretch = std::sqrt(sum);
  } else {
    double q = 0.0;
    for (std::size_t k = 0; k < dimension; ++k) {
      result.direction[k] = std::exp(log_beta[k]) * result.scale[k];
      q += result.direction[k] * result.direction[k];
    }
    const PriorOfScale prior = prior_of_scale(density, log_alpha);
    const double c = prior.slope + prior.curvature - prior_mass - shared;
    // Positive definite at the mode; elsewhere held away from singular.
    result.stretch = 1.0 / std::sqrt(std::max(1.0 + c * q, 1e-6));
  }
  normalise(result.direction);
  return result;
}

void climb(PosteriorDensity& density, std::vector<double>& y, TimedPoll& poll) {
  const std::size_t dimension = density.dimension();
  std::vector<double> proposal(dimension), gradient(dimension), step(dimension);
  double value = density.value(y.data(), gradient.data());
  for (int i = 0; i < max_newton_steps; ++i) {
    poll();
    const Whitening here = whitening_at(density, y.data());
    Whitening linear = here;
    std::fill(linear.centre.begin(), linear.centre.end(), 0.0);
    here.pull_back(gradient.data(), step.data());
    const double expected = dot(step, step);  // twice the gain of a full step
    if (expected < 1e-8) break;
    linear.to_coordinates(step.data(), step.data());
    // No coordinate moves by more than 8 (a factor e^8) at once.
    double longest = 0.0;
    for (const double s : step) longest = std::max(longest, std::abs(s));
    double length = std::min(1.0, 8.0 / longest);
    bool moved = false;
    for (; length > 1e-6; length *= 0.5) {
      for (std::size_t k = 0; k < dimension; ++k) proposal[k] = y[k] + length * step[k];
      const double proposed = density.value(proposal.data(), nullptr);
      if (proposed >= value + 1e-4 * length * expected) {
        y = proposal;
        moved = true;
        break;
      }
    }
    if (!moved) break;
    value = density.value(y.data(), gradient.data());
  }
}

}  // namespace hbm_fast
