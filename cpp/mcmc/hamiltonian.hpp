// Hamiltonian Monte Carlo in whitened coordinates (Neal 2011, arXiv:1206.1901), and step sizes that are found while
// warming up, then frozen.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include "math/sum.hpp"
#include "mcmc/chain.hpp"
#include "simulation/variates.hpp"

namespace hbm_fast {

// Dual averaging of log(step) towards a mean acceptance (Hoffman & Gelman 2014, section 3.2, arXiv:1111.4246). The
// constants are not theirs: t0 = 5 for 10 and gamma = 0.2 for 0.05 (kappa = 0.75 is theirs), and the step is pulled to
// the first step itself, not to ten times it. The whitened posterior is nearly a standard normal, so that the first
// step is nearly right: weak, early corrections suffice, and a warm-up of a few dozen steps does not oscillate.
class DualAveraging {
 public:
  DualAveraging(double step, double target)
      : target_(target), centre_(std::log(step)), log_step_(centre_), log_average_(centre_) {}

  void add(double acceptance) {
    n_ += 1.0;
    const double weight = 1.0 / (n_ + 5.0);
    error_ = (1.0 - weight) * error_ + weight * (target_ - acceptance);
    log_step_ = centre_ - std::sqrt(n_) / 0.2 * error_;
    const double forget = std::pow(n_, -0.75);
    log_average_ = forget * log_step_ + (1.0 - forget) * log_average_;
  }
  double step() const { return std::exp(log_step_); }
  double average() const { return std::exp(log_average_); }

 private:
  double target_, centre_, log_step_, log_average_;
  double error_ = 0.0, n_ = 0.0;
};

constexpr double divergence = 1000.0;  // an energy error beyond this one is not rounding or curvature

// In whitened coordinates the posterior is nearly a standard normal, whose half period is pi: trajectories of 1.5 to 3
// end negatively correlated with their start. At an acceptance of 0.85 such a trajectory takes two or three steps.
inline DualAveraging hamiltonian_adaptation(std::size_t dimension) {
  constexpr double target_acceptance = 0.85;
  return {1.5 * std::pow(static_cast<double>(dimension), -0.25), target_acceptance};
}

struct Leapfrog {
  int n_steps;
  double epsilon;
};

// Of a random length, which avoids periodic orbits.
inline Leapfrog draw_leapfrog(Stream& stream, double step_size) {
  constexpr double shortest = 1.5, longest = 3.0;
  const double length = shortest + (longest - shortest) * stream.uniform();
  const int n_steps = static_cast<int>(std::clamp(std::ceil(length / step_size), 1.0, 1000.0));
  return {n_steps, std::min(length / n_steps, step_size)};
}

// Whether the end of a trajectory is accepted, by its energy less that of the start.
inline bool accepts(Stream& stream, double error, StepStatistics& result) {
  result.diverging = !(error < divergence);
  result.acceptance = result.diverging ? 0.0 : std::min(1.0, std::exp(-error));
  return !result.diverging && stream.uniform() < result.acceptance;
}

// A point of a chain: whitened coordinates z, those of the density, the log density, and its gradient in z where a
// chain needs it.
struct WhitenedPoint {
  explicit WhitenedPoint(std::size_t dimension) : z(dimension), y(dimension), gradient(dimension) {}

  std::vector<double> z, y, gradient;
  double log_density = -std::numeric_limits<double>::infinity();
};

// One trajectory from `here`, which moves to its end where that is accepted and allowed(end). evaluate(point) finds the
// rest of a point from its z; `there` and `momentum` are scratch.
template <class Evaluate, class Allowed>
StepStatistics hamiltonian_step(Stream& stream, double step_size, WhitenedPoint& here, WhitenedPoint& there,
                                std::vector<double>& momentum, const Evaluate& evaluate, const Allowed& allowed) {
  for (double& p : momentum) p = normal(stream);
  const double energy = 0.5 * dot(momentum, momentum) - here.log_density;
  const auto [n_steps, epsilon] = draw_leapfrog(stream, step_size);
  StepStatistics result;
  result.step_size = step_size;
  there = here;
  const std::size_t dimension = momentum.size();
  for (std::size_t k = 0; k < dimension; ++k) momentum[k] += 0.5 * epsilon * there.gradient[k];
  for (int i = 1; i <= n_steps; ++i) {
    for (std::size_t k = 0; k < dimension; ++k) there.z[k] += epsilon * momentum[k];
    evaluate(there);
    result.n_evaluations = i;
    if (!(std::abs(there.log_density - here.log_density) < divergence)) break;
    const double kick = i == n_steps ? 0.5 * epsilon : epsilon;
    for (std::size_t k = 0; k < dimension; ++k) momentum[k] += kick * there.gradient[k];
  }
  const double error = 0.5 * dot(momentum, momentum) - there.log_density - energy;
  if (accepts(stream, error, result) && allowed(there)) std::swap(here, there);
  return result;
}

}  // namespace hbm_fast
