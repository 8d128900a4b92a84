// Random intercepts integrated out, one subject at a time.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "core/limits.hpp"
#include "math/cholesky.hpp"
#include "math/special.hpp"
#include "math/sum.hpp"
#include "regression/density.hpp"
#include "regression/row.hpp"
#include "simulation/variates.hpp"

namespace hbm_fast {
namespace {

constexpr int most_steps = 50;
constexpr double settled_gain = 1e-12;
constexpr double largest_damping = 1e300;
constexpr int n_draws = 128;
constexpr int degrees_of_freedom = 8;  // even: chi-squared is a sum of exponentials

// log sum exp of what is added.
class LogSum {
 public:
  void add(double x) {
    if (x > largest_) {
      sum_ = sum_ * std::exp(largest_ - x) + 1.0;
      largest_ = x;
    } else {
      sum_ += std::exp(x - largest_);
    }
  }
  double value() const { return largest_ + std::log(sum_); }

 private:
  double largest_ = -std::numeric_limits<double>::infinity();
  double sum_ = 0.0;
};

}  // namespace

double RegressionDensity::log_prior(const double* common) const {
  double result = log_normalizer_;
  for (std::size_t a = 0; a < n_theta_; ++a) {
    for (std::size_t b = 0; b < n_theta_; ++b) result -= 0.5 * common[a] * penalty_[a * n_theta_ + b] * common[b];
  }
  for (std::size_t t = 0; t < n_scales_; ++t) {
    const double ratio = std::exp(common[n_theta_ + t]) / intercepts_.scale_sd;
    result +=
        common[n_theta_ + t] - 0.5 * ratio * ratio - std::log(intercepts_.scale_sd) + std::log(2.0) - half_log_two_pi;
  }
  return result;
}

double RegressionDensity::subject_integral(std::size_t s, const std::vector<double>& nodes,
                                           const std::vector<double>& weights, Stream& stream) {
  const std::size_t k = data_.n_categories;
  const std::size_t n = filled_.size();
  const std::size_t size = n_intercepts_;
  std::vector<double> eta(k), scratch(k), shift_slope(n_free_), shift_information(n_free_ * n_free_);
  std::vector<double> gradient(size), information(size * size), factor, step, z(size), next(size);
  RowDerivatives row(k);
  const auto sign = [&](std::size_t j, std::size_t i) { return i == j ? 1.0 : i == n_free_ ? -1.0 : 0.0; };
  const auto shifted = [&](std::size_t at, const std::vector<double>& here) {
    for (std::size_t j = 0; j < n_free_; ++j) {
      eta[j] = mean_[j * n + at];
      for (std::size_t i = 0; i < size; ++i) eta[j] += sign(j, i) * scale_[scale_of(i)] * here[i];
    }
  };
  const auto value = [&](const std::vector<double>& here) {
    double sum = 0.0;
    for (const double x : here) sum -= 0.5 * x * x;
    for (const std::size_t at : rows_of_[s]) {
      shifted(at, here);
      sum += row_value(data_.link, data_.counts + filled_[at] * k, k, eta.data(), precision_[at], scratch.data());
    }
    return sum;
  };
  double here = value(z);
  for (int iteration = 0; iteration < most_steps; ++iteration) {
    std::fill(shift_slope.begin(), shift_slope.end(), 0.0);
    std::fill(shift_information.begin(), shift_information.end(), 0.0);
    for (const std::size_t at : rows_of_[s]) {
      shifted(at, z);
      evaluate_row(data_.link, data_.counts + filled_[at] * k, k, eta.data(), precision_[at], row);
      for (std::size_t j = 0; j < n_free_; ++j) {
        shift_slope[j] += row.slope[j];
        for (std::size_t l = 0; l < n_free_; ++l) shift_information[j * n_free_ + l] += row.information(j, l);
      }
    }
    for (std::size_t i = 0; i < size; ++i) {
      gradient[i] = -z[i];
      for (std::size_t j = 0; j < n_free_; ++j) gradient[i] += sign(j, i) * scale_[scale_of(i)] * shift_slope[j];
      for (std::size_t r = 0; r < size; ++r) {
        double sum = i == r ? 1.0 : 0.0;
        for (std::size_t j = 0; j < n_free_; ++j) {
          for (std::size_t l = 0; l < n_free_; ++l) {
            sum += sign(j, i) * scale_[scale_of(i)] * shift_information[j * n_free_ + l] * sign(l, r) *
                   scale_[scale_of(r)];
          }
        }
        information[i * size + r] = sum;
      }
    }
    for (double damping = 0.0;; damping = damping == 0.0 ? 1.0 : 4.0 * damping) {
      factor = information;
      for (std::size_t i = 0; i < size; ++i) factor[i * size + i] += damping;
      if (cholesky(factor.data(), size)) break;
      if (damping > largest_damping) return std::numeric_limits<double>::quiet_NaN();  // overflow, or NaN
    }
    step = gradient;
    cholesky_solve(factor.data(), size, step.data());
    if (dot(step, gradient) < settled_gain) break;
    double fraction = 1.0;
    for (; fraction > 1e-8; fraction *= 0.5) {
      for (std::size_t i = 0; i < size; ++i) next[i] = z[i] + fraction * step[i];
      const double there = value(next);
      if (there > here) {
        z.swap(next);
        here = there;
        break;
      }
    }
    if (fraction <= 1e-8) break;
  }
  // points z + L^-T v
  double log_determinant = 0.0;
  for (std::size_t i = 0; i < size; ++i) log_determinant += std::log(factor[i * size + i]);
  const auto at_point = [&](const std::vector<double>& v) {
    next = v;
    solve_upper(factor.data(), size, next.data());
    for (std::size_t i = 0; i < size; ++i) next[i] += z[i];
    return value(next);
  };
  LogSum sum;
  std::vector<double> v(size);
  if (!nodes.empty()) {
    std::vector<std::size_t> index(size);
    for (;;) {
      double weight = 1.0;
      for (std::size_t i = 0; i < size; ++i) {
        v[i] = nodes[index[i]];
        weight *= weights[index[i]];
      }
      sum.add(std::log(weight) + at_point(v) + 0.5 * dot(v, v));
      std::size_t i = 0;
      while (i < size && ++index[i] == nodes.size()) index[i++] = 0;
      if (i == size) break;
    }
    return sum.value() - log_determinant;
  }
  constexpr double nu = degrees_of_freedom;
  const auto dimension = static_cast<double>(size);
  const double log_density = log_abs_gamma(0.5 * (nu + dimension)) - log_abs_gamma(0.5 * nu) -
                             0.5 * dimension * std::log(nu * std::numbers::pi);
  for (int d = 0; d < n_draws; ++d) {
    double product = 1.0;
    for (int i = 0; i < degrees_of_freedom / 2; ++i) product *= stream.uniform();
    const double spread = std::sqrt(nu / (-2.0 * std::log(product)));
    for (double& x : v) x = spread * normal(stream);
    sum.add(at_point(v) - log_density + 0.5 * (nu + dimension) * std::log1p(dot(v, v) / nu));
  }
  return sum.value() - std::log(static_cast<double>(n_draws)) - log_determinant - dimension * half_log_two_pi;
}

void RegressionDensity::subject_log_likelihood(const double* common, const std::vector<double>& nodes,
                                               const std::vector<double>& weights, Stream& stream, double* out) {
  std::vector<double> y(dimension());
  std::copy_n(common, n_common(), y.begin());
  for (std::size_t t = 0; t < n_scales_; ++t) y[n_theta_ + t] = std::exp(y[n_theta_ + t]);
  predictors(y.data());
  for (std::size_t s = 0; s < n_subjects(); ++s) {
    out[s] = subject_integral(s, nodes, weights, stream);
    for (const std::size_t at : rows_of_[s]) out[s] += log_coefficients_[at];
  }
}

double RegressionDensity::marginal(const double* common, const std::vector<double>& nodes,
                                   const std::vector<double>& weights, Stream& stream) {
  if (n_subjects() == 0) return value(common, nullptr);
  std::vector<double> parts(n_subjects());
  subject_log_likelihood(common, nodes, weights, stream, parts.data());
  double result = log_prior(common);
  for (const double part : parts) result += part;
  return result;
}

}  // namespace hbm_fast
