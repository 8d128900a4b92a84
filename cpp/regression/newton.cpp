#include "regression/newton.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "math/cholesky.hpp"
#include "math/sum.hpp"

namespace hbm_fast {
namespace {

constexpr double converged_gain = 1e-12;  // squared length of the last step in standard errors
constexpr double longest_step = 4.0;      // of a linear predictor
constexpr double drift = 0.5;             // of log proportions or log precision, a step that does not shorten
constexpr double drifting_gain = 1e-3;
// Where a step is long and its expected rise is less than this, the rest of the rise is as small: there is no maximum.
constexpr double limit_gain = 1e-9;
constexpr double smallest_damping = 1e-4;
constexpr double largest_damping = 1e8;

// The Newton step with the least damping, from `least` on, at which minus the Hessian is positive definite; returns the
// damping, which is negative where there is none.
double newton_step(const std::vector<double>& information, const std::vector<double>& gradient, double least,
                   double usual, std::vector<double>& factor, std::vector<double>& step) {
  const std::size_t p = gradient.size();
  double damping = least;
  for (;;) {
    factor = information;
    for (std::size_t i = 0; i < p && damping > 0.0; ++i)
      factor[i * p + i] += damping * (std::abs(information[i * p + i]) + 1e-8);
    if (cholesky(factor.data(), p)) break;
    damping = damping > 0.0 ? 10.0 * damping : usual;
    if (damping > largest_damping) return -1.0;
  }
  step = gradient;
  cholesky_solve(factor.data(), p, step.data());
  return damping;
}

Ending limit_of(const RegressionObjective::Change& change) {
  if (change.mean > drift) return Ending::separated;
  return change.precision > 0.0 ? Ending::infinity : Ending::zero;
}

}  // namespace

RegressionOptimum maximize(const RegressionObjective& objective, std::vector<double> start, int max_iterations) {
  const std::size_t p = start.size();
  RegressionOptimum here{std::move(start), std::vector<double>(p * p), 0.0, Ending::unfinished, 0};
  std::vector<double> gradient(p);
  std::vector<double> factor;
  std::vector<double> step;
  std::vector<double> next(p);
  std::vector<double> next_gradient(p);
  std::vector<double> next_information(p * p);
  here.value = objective.derivatives(here.theta.data(), gradient.data(), here.information.data());
  double usual = smallest_damping;  // where the Hessian needs any: a tenth of what it needed last
  double least = 0.0;               // more than 0 after a step along which the value did not rise
  double last_gain = std::numeric_limits<double>::infinity();
  while (here.n_iterations < max_iterations) {
    ++here.n_iterations;
    const double damping = newton_step(here.information, gradient, least, usual, factor, step);
    if (damping < 0.0) return here;
    const double gain = dot(gradient, step);
    const double resolved = std::max(1e-9, 1e-14 * std::abs(here.value));
    double fraction = std::min(1.0, longest_step / std::max(objective.longest_change(step.data()), 1e-300));
    bool drifts = false;
    if (gain < drifting_gain) {
      const auto change = objective.change(here.theta.data(), step.data());
      drifts = std::max(change.mean, std::abs(change.precision)) > drift && damping < 1e-3;
      if (drifts && gain < limit_gain) {
        here.ending = limit_of(change);
        return here;
      }
      const bool settled = gain < converged_gain || (last_gain <= gain && gain < resolved);
      if (!drifts && settled) {
        for (std::size_t i = 0; i < p; ++i) here.theta[i] += fraction * step[i];
        here.value += 0.5 * gain;
        here.ending = damping > 0.0 ? Ending::flat : Ending::converged;
        return here;
      }
      // Towards a limit the rise falls by e for a step of 1: longer steps are as good, and fewer.
      if (drifts) fraction = longest_step / objective.longest_change(step.data());
    }
    last_gain = gain;
    bool accepted = false;
    while (fraction > 1e-10) {
      for (std::size_t i = 0; i < p; ++i) next[i] = here.theta[i] + fraction * step[i];
      const double value = objective.derivatives(next.data(), next_gradient.data(), next_information.data());
      const double lowest = here.value + (drifts ? 0.0 : 1e-4 * fraction * gain);
      accepted = value >= lowest || (gain < resolved && std::isfinite(value));
      if (accepted) {
        here.theta.swap(next);
        gradient.swap(next_gradient);
        here.information.swap(next_information);
        here.value = value;
        break;
      }
      fraction *= 0.5;
    }
    usual = std::max(smallest_damping, 0.1 * damping);
    least = accepted ? 0.0 : std::max(smallest_damping, 10.0 * damping);
    if (least > largest_damping) return here;
  }
  return here;
}

std::vector<double> pooled_start(const RegressionObjective& objective, const double* unit,
                                 const double* precision_unit) {
  constexpr double log_precisions[] = {0.0, 2.0, 4.0, 6.0};
  constexpr std::size_t start_rows = 64;  // enough for a start
  const RegressionData& data = objective.data();
  const std::size_t k = data.n_categories;
  std::vector<double> sums(k, 0.5);  // so that a category without counts has a logarithm
  for (std::size_t n = 0; n < data.n_rows; ++n) {
    const double weight = data.weights != nullptr ? data.weights[n] : 1.0;
    for (std::size_t j = 0; j < k; ++j) sums[j] += weight * data.counts[n * k + j];
  }
  double total = 0.0;
  for (const double sum : sums) total += sum;
  std::vector<double> best;
  std::vector<double> theta(data.n_parameters());
  double best_value = -std::numeric_limits<double>::infinity();
  for (const double log_precision : log_precisions) {
    for (std::size_t j = 0; j < data.free(); ++j) {
      const double eta =
          data.link == Link::log ? std::log(sums[j] / total) + log_precision : std::log(sums[j] / sums[k - 1]);
      for (std::size_t p = 0; p < data.n_columns; ++p) theta[j * data.n_columns + p] = unit[p] * eta;
    }
    for (std::size_t q = 0; q < data.n_precision; ++q)
      theta[data.free() * data.n_columns + q] = precision_unit[q] * log_precision;
    if (data.link == Link::multinomial) return theta;
    const double value = objective.value(theta.data(), start_rows);
    if (value > best_value || best.empty()) {
      best_value = value;
      best = theta;
    }
  }
  return best;
}

}  // namespace hbm_fast
