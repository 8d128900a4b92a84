#include "regression/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>
#include <vector>

#include "math/special.hpp"
#include "mcmc/chain.hpp"
#include "mcmc/dual_averaging.hpp"
#include "mcmc/slice.hpp"
#include "simulation/variates.hpp"

namespace hbm_fast {
namespace {

// As those of mcmc/hmc.cpp: the whitened posterior is nearly a standard normal.
constexpr double target_acceptance = 0.85;
constexpr double shortest = 1.5;
constexpr double longest = 3.0;
constexpr double divergence = 1000.0;
// Even, so that chi-squared is a sum of exponentials. At 500 groups, 5 categories and 15 parameters the efficiency of
// importance sampling is 0.95, at 30 degrees of freedom 0.91.
constexpr int degrees_of_freedom = 100;

double half_square(const std::vector<double>& v) {
  double sum = 0.0;
  for (const double x : v) sum += x * x;
  return 0.5 * sum;
}

class RegressionChain {
 public:
  RegressionChain(const RegressionDensity& density, const RegressionWhitening& whitening, Stream stream)
      : density_(density),
        whitening_(whitening),
        stream_(stream),
        w_(density.dimension()),
        y_(w_),
        new_w_(w_),
        new_y_(w_),
        gradient_(w_),
        new_gradient_(w_),
        momentum_(w_),
        adaptation_(1.5 * std::pow(static_cast<double>(w_.size()), -0.25), target_acceptance),
        step_size_(adaptation_.step()),
        log_determinant_(whitening.factor.log_determinant()) {
    to_coordinates(w_, y_);
  }

  void start_hmc() {
    for (double spread = 1.0;; spread *= 0.7) {
      const bool last = spread < 1e-3;
      for (double& x : w_) x = last ? 0.0 : spread * normal(stream_);
      log_density_ = evaluate(w_, y_, gradient_);
      if (std::isfinite(log_density_) || last) return;
    }
  }

  StepStatistics hmc_step() {
    if (density_.n_scales() != 0) draw_scales();
    for (double& p : momentum_) p = normal(stream_);
    const double energy = half_square(momentum_) - log_density_;
    const double length = shortest + (longest - shortest) * stream_.uniform();
    const int n_steps = static_cast<int>(std::clamp(std::ceil(length / step_size_), 1.0, 1000.0));
    const double epsilon = std::min(length / n_steps, step_size_);
    StepStatistics result;
    result.step_size = step_size_;
    new_w_ = w_;
    new_gradient_ = gradient_;
    double new_log_density = log_density_;
    const std::size_t dimension = w_.size();
    for (std::size_t i = 0; i < dimension; ++i) momentum_[i] += 0.5 * epsilon * new_gradient_[i];
    for (int step = 1; step <= n_steps; ++step) {
      for (std::size_t i = 0; i < dimension; ++i) new_w_[i] += epsilon * momentum_[i];
      new_log_density = evaluate(new_w_, new_y_, new_gradient_);
      result.n_evaluations = step;
      if (!(std::abs(new_log_density - log_density_) < divergence)) break;
      const double kick = step == n_steps ? 0.5 * epsilon : epsilon;
      for (std::size_t i = 0; i < dimension; ++i) momentum_[i] += kick * new_gradient_[i];
    }
    const double error = half_square(momentum_) - new_log_density - energy;
    result.diverging = !(error < divergence);
    result.acceptance = result.diverging ? 0.0 : std::min(1.0, std::exp(-error));
    if (!result.diverging && stream_.uniform() < result.acceptance) {
      w_.swap(new_w_);
      y_.swap(new_y_);
      gradient_.swap(new_gradient_);
      log_density_ = new_log_density;
    }
    return result;
  }

  void warm_up_hmc(bool last) {
    adaptation_.add(hmc_step().acceptance);
    step_size_ = last ? adaptation_.average() : adaptation_.step();
  }

  StepStatistics independence_step(double& log_weight) {
    double product = 1.0;  // of uniforms: minus two times its logarithm is chi-squared
    for (int i = 0; i < degrees_of_freedom / 2; ++i) product *= stream_.uniform();
    const double spread = std::sqrt(degrees_of_freedom / (-2.0 * std::log(product)));
    for (double& x : new_w_) x = spread * normal(stream_);
    const double square = 2.0 * half_square(new_w_);
    const auto dimension = static_cast<double>(new_w_.size());
    constexpr double nu = degrees_of_freedom;
    const double log_proposal = log_abs_gamma(0.5 * (nu + dimension)) - log_abs_gamma(0.5 * nu) -
                                0.5 * dimension * std::log(nu * std::numbers::pi) + log_determinant_ -
                                0.5 * (nu + dimension) * std::log1p(square / nu);
    to_coordinates(new_w_, new_y_);
    const double new_log_density = density_.value(new_y_.data(), nullptr);
    log_weight = new_log_density - log_proposal;
    StepStatistics result;
    result.n_evaluations = 1;
    result.acceptance = log_weight > log_weight_ ? 1.0 : std::exp(log_weight - log_weight_);
    if (stream_.uniform() < result.acceptance) {
      y_.swap(new_y_);
      log_density_ = new_log_density;
      log_weight_ = log_weight;
    }
    return result;
  }

  void write(std::size_t at, const StepStatistics& step, double log_weight, const RegressionDraws& out) const {
    const std::size_t p = density_.n_theta();
    const std::size_t n_scales = density_.n_scales();
    const std::size_t n_intercepts = density_.n_intercepts();
    const std::size_t n_subjects = density_.n_subjects();
    std::copy_n(y_.data(), p, out.theta + at * p);
    for (std::size_t t = 0; t < n_scales; ++t) out.log_scale[at * n_scales + t] = std::log(std::abs(y_[p + t]));
    const double* z = y_.data() + density_.n_common();
    double* to = out.intercepts + at * n_subjects * n_intercepts;
    for (std::size_t i = 0; i < n_subjects * n_intercepts; ++i)
      to[i] = y_[p + density_.scale_of(i % n_intercepts)] * z[i];
    out.log_density[at] = log_density_;
    out.log_weight[at] = log_weight;
    out.acceptance[at] = step.acceptance;
    out.step_size[at] = step.step_size;
    out.n_evaluations[at] = step.n_evaluations;
    out.diverging[at] = step.diverging;
  }

 private:
  void to_coordinates(const std::vector<double>& w, std::vector<double>& y) const {
    y = w;
    whitening_.factor.solve_transposed(y.data());
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += whitening_.centre[i];
  }

  double evaluate(const std::vector<double>& w, std::vector<double>& y, std::vector<double>& gradient) {
    to_coordinates(w, y);
    const double value = density_.value(y.data(), gradient.data());
    whitening_.factor.solve(gradient.data());
    return value;
  }

  // Given the intercepts, which do not change: z does.
  void draw_scales() {
    const std::size_t n_intercepts = density_.n_intercepts();
    const std::size_t n_z = density_.n_subjects() * n_intercepts;
    double* z = y_.data() + density_.n_common();
    for (std::size_t t = 0; t < density_.n_scales(); ++t) {
      double square = 0.0;
      double size = 0.0;
      for (std::size_t i = 0; i < n_z; ++i) {
        if (density_.scale_of(i % n_intercepts) != t) continue;
        square += z[i] * z[i];
        size += 1.0;
      }
      double& scale = y_[density_.n_theta() + t];
      const double log_scale = std::log(std::abs(scale));
      square *= scale * scale;
      const double precision = 1.0 / (density_.scale_sd() * density_.scale_sd());
      StepStatistics ignored;
      const double drawn = slice(
          stream_, log_scale, 2.0 / std::sqrt(size + 1.0),
          [&](double x) {
            const double variance = std::exp(2.0 * x);
            return (1.0 - size) * x - 0.5 * square / variance - 0.5 * precision * variance;
          },
          ignored);
      const double ratio = std::exp(log_scale - drawn);
      for (std::size_t i = 0; i < n_z; ++i) {
        if (density_.scale_of(i % n_intercepts) == t) z[i] *= ratio;
      }
      scale /= ratio;
    }
    w_ = y_;
    for (std::size_t i = 0; i < w_.size(); ++i) w_[i] -= whitening_.centre[i];
    whitening_.factor.multiply_transposed(w_.data());
    log_density_ = evaluate(w_, y_, gradient_);
  }

  RegressionDensity density_;  // a copy: it has memory of its own
  const RegressionWhitening& whitening_;
  Stream stream_;
  std::vector<double> w_, y_, new_w_, new_y_, gradient_, new_gradient_, momentum_;
  DualAveraging adaptation_;
  double step_size_;
  double log_determinant_;
  double log_density_ = -std::numeric_limits<double>::infinity();
  double log_weight_ = -std::numeric_limits<double>::infinity();
};

}  // namespace

void sample_regression(const RegressionDensity& density, const RegressionWhitening& whitening,
                       const RegressionSamplerOptions& options, const RegressionDraws& draws,
                       const std::function<void(double)>& poll) {
  const auto start = [&](std::size_t c, TimedPoll&) {
    RegressionChain chain(density, whitening, Stream(options.key, Site::chain, 0, c));
    if (!options.independence) chain.start_hmc();
    return [&, c, chain = std::move(chain)](std::size_t i) mutable {
      double log_weight = std::numeric_limits<double>::quiet_NaN();
      StepStatistics step;
      if (options.independence) {
        step = chain.independence_step(log_weight);
      } else if (i < options.n_warmup) {
        chain.warm_up_hmc(i + 1 == options.n_warmup);
      } else {
        step = chain.hmc_step();
      }
      if (i >= options.n_warmup) chain.write(c * options.n_draws + i - options.n_warmup, step, log_weight, draws);
    };
  };
  run_chains(options.n_chains, options.n_warmup + options.n_draws, options.n_threads, start, poll);
}

}  // namespace hbm_fast
