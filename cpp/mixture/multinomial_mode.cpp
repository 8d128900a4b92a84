#include "mixture/multinomial_mode.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "math/special.hpp"
#include "mixture/kernels.hpp"

namespace hbm_fast {
namespace {

constexpr std::size_t groups_per_poll = 64;
constexpr double shortest = 1.01;  // extrapolation that is worth an iteration; 1 is the second of two plain iterations

// Weights (J) and proportions (K, stride), the components of a category side by side.
struct Point {
  std::vector<double> weights, beta;
};

class Maximizer {
 public:
  Maximizer(const MultinomialGroups& groups, double d, std::size_t n_components, TimedPoll& poll)
      : groups_(groups),
        d_(d),
        n_components_(n_components),
        stride_((n_components + component_block - 1) / component_block * component_block),
        poll_(poll),
        log_weights_(stride_),
        log_joint_(groups_per_poll * stride_),
        log_sums_(groups_per_poll),
        sizes_(stride_) {
    const double j = static_cast<double>(n_components_);
    constant_ = log_abs_gamma(groups_.sum_of_prior);
    for (const double b : groups_.prior) constant_ -= log_abs_gamma(b);
    constant_ *= j;
    if (d_ != 1.0) constant_ += log_abs_gamma(j * d_) - log_abs_gamma(j) - j * log_abs_gamma(d_);
  }

  Point read(const double* beta, const double* weights) const {
    const std::size_t k = groups_.prior.size();
    Point point{std::vector<double>(stride_, 0.0), std::vector<double>(k * stride_, 1.0)};
    for (std::size_t j = 0; j < n_components_; ++j) {
      point.weights[j] = weights[j];
      for (std::size_t i = 0; i < k; ++i) point.beta[i * stride_ + j] = beta[j * k + i];
    }
    return point;
  }

  void write(const Point& point, double* beta, double* weights) const {
    const std::size_t k = groups_.prior.size();
    for (std::size_t j = 0; j < n_components_; ++j) {
      weights[j] = point.weights[j];
      for (std::size_t i = 0; i < k; ++i) beta[j * k + i] = point.beta[i * stride_ + j];
    }
  }

  // Calls take(g, n) for blocks of n groups whose log joints are in log_joint().
  template <class Take>
  void each_block(const Point& point, Take&& take) {
    terms_ = point.beta;
    multinomial_kernels().logs(terms_.data(), terms_.size());
    for (std::size_t j = 0; j < stride_; ++j) log_weights_[j] = std::log(point.weights[j]);
    for (std::size_t g = 0; g < groups_.n_groups(); g += groups_per_poll) {
      poll_();
      const std::size_t n = std::min(groups_per_poll, groups_.n_groups() - g);
      for (std::size_t i = 0; i < n; ++i) {
        multinomial_kernels().gather(terms_.data(), stride_, groups_.begin(g + i), groups_.end(g + i),
                                     log_weights_.data(), log_joint_.data() + i * stride_);
      }
      take(g, n);
    }
  }

  const double* log_joint() const { return log_joint_.data(); }
  std::size_t stride() const { return stride_; }

  // The next iteration, and the value and the largest slope at the point before it.
  Point step(const Point& point, double& value, double& slope) {
    const std::size_t k = groups_.prior.size();
    sums_.assign(k * stride_, 0.0);
    std::fill(sizes_.begin(), sizes_.end(), 0.0);
    value = constant_;
    each_block(point, [&](std::size_t g, std::size_t n) {
      mixture_kernels().responsibilities(log_joint_.data(), n, stride_, log_sums_.data());
      for (std::size_t i = 0; i < n; ++i) {
        double* const share = log_joint_.data() + i * stride_;
        const double weight = groups_.weights[g + i];
        for (std::size_t j = 0; j < stride_; ++j) sizes_[j] += share[j] *= weight;
        value += weight * log_sums_[i];
        multinomial_kernels().scatter(sums_.data(), stride_, groups_.begin(g + i), groups_.end(g + i), share);
      }
    });
    Point next{std::vector<double>(stride_, 0.0), std::move(sums_)};
    const double all = groups_.sum_of_weights + static_cast<double>(n_components_) * (d_ - 1.0);
    slope = 0.0;
    for (std::size_t j = 0; j < n_components_; ++j) {
      next.weights[j] = sizes_[j] + (d_ - 1.0);
      slope = std::max(slope, std::abs(next.weights[j] - all * point.weights[j]));
      if (d_ != 1.0) value += (d_ - 1.0) * std::log(point.weights[j]);
    }
    for (double& w : next.weights) w /= all;
    std::vector<double>& total = sizes_;
    std::fill(total.begin(), total.end(), groups_.sum_of_prior);
    for (std::size_t i = 0; i < k; ++i) {
      for (std::size_t j = 0; j < stride_; ++j) total[j] += next.beta[i * stride_ + j];
    }
    for (std::size_t i = 0; i < k; ++i) {
      for (std::size_t j = 0; j < n_components_; ++j) {
        const std::size_t at = i * stride_ + j;
        const double count = next.beta[at] + groups_.prior[i];
        slope = std::max(slope, std::abs(count - total[j] * point.beta[at]));
        value += groups_.prior[i] * terms_[at];
        next.beta[at] = count / total[j];
      }
      for (std::size_t j = n_components_; j < stride_; ++j) next.beta[i * stride_ + j] = 1.0;
    }
    return next;
  }

 private:
  const MultinomialGroups& groups_;
  double d_;
  std::size_t n_components_, stride_;
  TimedPoll& poll_;
  double constant_;
  std::vector<double> log_weights_, log_joint_, log_sums_, sizes_, terms_, sums_;
};

// Extrapolates three successive points (Varadhan & Roland 2008, doi:10.1111/j.1467-9469.2007.00585.x, scheme S3);
// false where a parameter would not be positive.
bool extrapolate(const std::vector<double>& a, const std::vector<double>& b, const std::vector<double>& c,
                 double length, std::vector<double>& out) {
  bool positive = true;
  out.resize(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double r = b[i] - a[i], v = (c[i] - b[i]) - r;
    out[i] = a[i] + 2.0 * length * r + length * length * v;
    positive = positive && (out[i] > 0.0 || a[i] == 0.0);
  }
  return positive;
}

void add_squares(const std::vector<double>& a, const std::vector<double>& b, const std::vector<double>& c, double& r2,
                 double& v2) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double r = b[i] - a[i], v = (c[i] - b[i]) - r;
    r2 += r * r;
    v2 += v * v;
  }
}

}  // namespace

void multinomial_log_joint(const MultinomialGroups& groups, std::size_t n_components, const double* beta,
                           const double* weights, double* out, TimedPoll& poll) {
  Maximizer maximizer(groups, 1.0, n_components, poll);
  maximizer.each_block(maximizer.read(beta, weights), [&](std::size_t, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i, out += n_components) {
      std::copy_n(maximizer.log_joint() + i * maximizer.stride(), n_components, out);
    }
  });
}

MultinomialMode maximize_multinomial(const MultinomialGroups& groups, double d, std::size_t n_components, double* beta,
                                     double* weights, double tolerance, std::size_t max_iterations, TimedPoll& poll) {
  Maximizer maximizer(groups, d, n_components, poll);
  MultinomialMode mode;
  Point here = maximizer.read(beta, weights);
  const auto reached = [&](const Point& point, double value, double slope) {
    mode.value = value;
    mode.converged = slope <= tolerance;
    maximizer.write(point, beta, weights);
  };
  Point further;
  double value, slope, value_of_next, slope_of_next;
  for (;;) {
    Point next = maximizer.step(here, value, slope);
    reached(here, value, slope);
    if (mode.converged || mode.n_iterations == max_iterations) return mode;
    Point second = maximizer.step(next, value_of_next, slope_of_next);
    ++mode.n_iterations;
    double r2 = 0.0, v2 = 0.0;
    add_squares(here.weights, next.weights, second.weights, r2, v2);
    add_squares(here.beta, next.beta, second.beta, r2, v2);
    double length = v2 > 0.0 ? std::sqrt(r2 / v2) : 1.0;
    while (length > shortest && !(extrapolate(here.weights, next.weights, second.weights, length, further.weights) &&
                                  extrapolate(here.beta, next.beta, second.beta, length, further.beta))) {
      length = 0.5 * (length + 1.0);
    }
    if (length > shortest) {
      Point beyond = maximizer.step(further, value, slope);
      if (value >= value_of_next) {
        here = std::move(beyond);
        continue;
      }
    }
    here = std::move(second);
  }
}

}  // namespace hbm_fast
