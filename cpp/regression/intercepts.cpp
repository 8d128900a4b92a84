#include "regression/intercepts.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "math/cholesky.hpp"

namespace hbm_fast {
namespace {

constexpr std::size_t subjects_per_chunk = 32;  // that are summed in one go, whatever the number of threads
constexpr int most_steps = 100;
constexpr double converged_gain = 1e-18;  // squared length of the last step in standard deviations
constexpr double longest_step = 4.0;      // of a linear predictor
constexpr double largest_damping = 1e300;

// One subject at a time: the mode of its v, and its part of the value and the gradient.
class Subject {
 public:
  Subject(const SubjectData& data, const double* theta)
      : data_(data),
        rows_(data.rows),
        theta_(theta),
        free_(rows_.free()),
        scale_(free_),
        row_(rows_.n_categories),
        scratch_(4 * rows_.n_categories),
        shifted_(free_),
        slopes_(free_),
        information_(free_ * free_) {
    const double* scales = theta + rows_.n_parameters();
    for (std::size_t j = 0; j < free_; ++j) scale_[j] = scales[data.n_scales == 1 ? 0 : j];
  }

  double add(std::size_t subject, double* gradient, double* mode, double* covariance) {
    begin_ = static_cast<std::size_t>(data_.begins[subject]);
    end_ = static_cast<std::size_t>(data_.begins[subject + 1]);
    fixed_.resize((end_ - begin_) * (free_ + 1));
    for (std::size_t n = begin_; n < end_; ++n) linear_predictors(rows_, n, theta_, fixed(n), fixed(n)[free_]);
    find_mode(mode);
    invert(covariance);
    return data_.n_nodes == 0 ? laplace(mode, covariance, gradient) : quadrature(mode[0], gradient);
  }

 private:
  double* fixed(std::size_t n) { return fixed_.data() + (n - begin_) * (free_ + 1); }
  double weight(std::size_t n) const { return rows_.weights != nullptr ? rows_.weights[n] : 1.0; }
  const double* counts(std::size_t n) const { return rows_.counts + n * rows_.n_categories; }

  const double* shifted(std::size_t n, const double* v) {
    for (std::size_t j = 0; j < free_; ++j) shifted_[j] = fixed(n)[j] + scale_[j] * v[j];
    return shifted_.data();
  }

  void evaluate(std::size_t n, const double* v) {
    evaluate_row(rows_.link, counts(n), rows_.n_categories, shifted(n, v), fixed(n)[free_], row_);
  }

  // Log density of the rows and of v at v, up to a constant; slopes and information of the rows in eta, summed.
  double joint(const double* v) {
    std::fill(slopes_.begin(), slopes_.end(), 0.0);
    std::fill(information_.begin(), information_.end(), 0.0);
    double value = 0.0;
    for (std::size_t j = 0; j < free_; ++j) value -= 0.5 * v[j] * v[j];
    for (std::size_t n = begin_; n < end_; ++n) {
      evaluate(n, v);
      const double w = weight(n);
      value += w * row_.value;
      for (std::size_t j = 0; j < free_; ++j) {
        slopes_[j] += w * row_.slope[j];
        for (std::size_t l = 0; l < free_; ++l) information_[j * free_ + l] += w * row_.information(j, l);
      }
    }
    return value;
  }

  // Minus the Hessian of `joint` in v, with damping on its diagonal.
  void set_hessian(double damping) {
    hessian_.assign(free_ * free_, 0.0);
    for (std::size_t j = 0; j < free_; ++j) {
      for (std::size_t l = 0; l < free_; ++l)
        hessian_[j * free_ + l] = scale_[j] * scale_[l] * information_[j * free_ + l];
      hessian_[j * free_ + j] += 1.0 + damping;
    }
  }

  // Newton's method, damped where minus the Hessian is not positive definite; leaves its Cholesky factor.
  void find_mode(double* v) {
    double value = joint(v);
    if (!std::isfinite(value)) {
      std::fill(v, v + free_, 0.0);
      value = joint(v);
    }
    std::vector<double> slope(free_);
    std::vector<double> step(free_);
    std::vector<double> next(free_);
    double least = 0.0;  // damping, more than 0 after a step along which the value did not rise
    for (int i = 0; i < most_steps; ++i) {
      double damping = least;
      for (set_hessian(damping); !cholesky(hessian_.data(), free_); set_hessian(damping)) {
        damping = damping > 0.0 ? 10.0 * damping : 0.1;
        if (damping > largest_damping) {  // overflow, or NaN: so is the value
          hessian_.assign(free_ * free_, std::numeric_limits<double>::quiet_NaN());
          return;
        }
      }
      for (std::size_t j = 0; j < free_; ++j) slope[j] = scale_[j] * slopes_[j] - v[j];
      step = slope;
      cholesky_solve(hessian_.data(), free_, step.data());
      double gain = 0.0;
      double longest = 0.0;
      for (std::size_t j = 0; j < free_; ++j) {
        gain += slope[j] * step[j];
        longest = std::max(longest, std::abs(scale_[j] * step[j]));
      }
      if (gain < converged_gain) return;
      const double fraction = std::min(1.0, longest_step / std::max(longest, 1e-300));
      for (std::size_t j = 0; j < free_; ++j) next[j] = v[j] + fraction * step[j];
      const double before = value;
      value = joint(next.data());
      if (value >= before - 1e-12 * std::abs(before)) {
        std::copy(next.begin(), next.end(), v);
        least = damping < 1e-2 ? 0.0 : 0.1 * damping;
      } else {
        value = joint(v);
        least = std::max(1e-2, 10.0 * damping);
        if (least > 1e12) return;
      }
    }
  }

  // The covariance of the intercepts, scale (hessian)^-1 scale; also the inverse itself.
  void invert(double* covariance) {
    inverse_.assign(free_ * free_, 0.0);
    for (std::size_t j = 0; j < free_; ++j) {
      inverse_[j * free_ + j] = 1.0;
      cholesky_solve(hessian_.data(), free_, inverse_.data() + j * free_);
    }
    for (std::size_t j = 0; j < free_; ++j) {
      for (std::size_t l = 0; l < free_; ++l)
        covariance[j * free_ + l] = scale_[j] * scale_[l] * inverse_[j * free_ + l];
    }
  }

  double& scale_gradient(double* gradient, std::size_t j) const {
    return gradient[rows_.n_parameters() + (data_.n_scales == 1 ? 0 : j)];
  }

  void add_row(std::size_t n, const double* slope, double zeta_slope, double* gradient) const {
    for (std::size_t j = 0; j < free_; ++j) {
      for (std::size_t p = 0; p < rows_.n_columns; ++p)
        gradient[j * rows_.n_columns + p] += slope[j] * rows_.design[n * rows_.n_columns + p];
    }
    for (std::size_t q = 0; q < rows_.n_precision; ++q)
      gradient[free_ * rows_.n_columns + q] += zeta_slope * rows_.precision_design[n * rows_.n_precision + q];
  }

  // joint(mode) - log det(hessian) / 2. Its gradient has three parts: that of joint, that of the determinant, and that
  // of the determinant through the mode, whose derivatives are -hessian^-1 times those of the gradient of joint.
  double laplace(const double* mode, const double* covariance, double* gradient) {
    double value = joint(mode);
    for (std::size_t j = 0; j < free_; ++j) value -= std::log(hessian_[j * free_ + j]);
    thirds_.assign((end_ - begin_) * (free_ + 1), 0.0);
    std::vector<double> third(free_, 0.0);
    for (std::size_t n = begin_; n < end_; ++n) {
      double* own = thirds_.data() + (n - begin_) * (free_ + 1);
      weighted_third(rows_.link, counts(n), rows_.n_categories, shifted(n, mode), fixed(n)[free_], covariance,
                     scratch_.data(), own, own[free_]);
      for (std::size_t j = 0; j < free_; ++j) third[j] += weight(n) * own[j];
    }
    std::vector<double> moved(free_, 0.0);  // inverse times the gradient of -log det / 2 in v
    std::vector<double> through(free_);
    for (std::size_t j = 0; j < free_; ++j) {
      for (std::size_t l = 0; l < free_; ++l) moved[j] -= 0.5 * inverse_[j * free_ + l] * scale_[l] * third[l];
    }
    for (std::size_t j = 0; j < free_; ++j) through[j] = scale_[j] * moved[j];
    for (std::size_t j = 0; j < free_; ++j) {
      double direct = 0.0;
      double shift = 0.0;
      for (std::size_t l = 0; l < free_; ++l) {
        direct += inverse_[j * free_ + l] * scale_[l] * information_[j * free_ + l];
        shift += information_[j * free_ + l] * through[l];
      }
      scale_gradient(gradient, j) += mode[j] * (slopes_[j] - 0.5 * third[j] - shift) - direct + moved[j] * slopes_[j];
    }
    std::vector<double> slope(free_);
    for (std::size_t n = begin_; n < end_; ++n) {
      evaluate(n, mode);
      const double* own = thirds_.data() + (n - begin_) * (free_ + 1);
      double zeta_slope = row_.zeta_slope - 0.5 * own[free_];
      for (std::size_t j = 0; j < free_; ++j) {
        double shift = 0.0;
        for (std::size_t l = 0; l < free_; ++l) shift += row_.information(j, l) * through[l];
        slope[j] = weight(n) * (row_.slope[j] - 0.5 * own[j] - shift);
        if (rows_.n_precision != 0) zeta_slope -= row_.zeta_eta[j] * through[j];
      }
      add_row(n, slope.data(), weight(n) * zeta_slope, gradient);
    }
    return value;
  }

  // The Gauss-Hermite rule, moved to the mode and scaled by the curvature there (Liu & Pierce 1994). The gradient is
  // the mean over the nodes of that of joint, which is Fisher's identity for the integral.
  double quadrature(double mode, double* gradient) {
    const double width = std::sqrt(2.0) / hessian_[0];
    const std::size_t size = end_ - begin_;
    std::vector<double> logs(data_.n_nodes);
    std::vector<double> slopes(2 * data_.n_nodes * size);  // in eta and zeta
    for (std::size_t i = 0; i < data_.n_nodes; ++i) {
      const double v = mode + width * data_.nodes[2 * i];
      logs[i] = data_.nodes[2 * i + 1] - 0.5 * v * v;
      double* own = slopes.data() + 2 * i * size;
      for (std::size_t n = begin_; n < end_; ++n) {
        evaluate(n, &v);
        logs[i] += weight(n) * row_.value;
        own[2 * (n - begin_)] = row_.slope[0];
        own[2 * (n - begin_) + 1] = row_.zeta_slope;
      }
    }
    const double largest = *std::max_element(logs.begin(), logs.end());
    double sum = 0.0;
    for (const double value : logs) sum += std::exp(value - largest);
    for (std::size_t n = begin_; n < end_; ++n) {
      double slope = 0.0;
      double zeta_slope = 0.0;
      for (std::size_t i = 0; i < data_.n_nodes; ++i) {
        const double share = weight(n) * std::exp(logs[i] - largest) / sum;
        const double* own = slopes.data() + 2 * (i * size + n - begin_);
        slope += share * own[0];
        zeta_slope += share * own[1];
        scale_gradient(gradient, 0) += share * own[0] * (mode + width * data_.nodes[2 * i]);
      }
      add_row(n, &slope, zeta_slope, gradient);
    }
    constexpr double half_log_two_pi = 0.9189385332046727;
    return largest + std::log(sum * width) - half_log_two_pi;
  }

  const SubjectData& data_;
  const RegressionData& rows_;
  const double* theta_;
  std::size_t free_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::vector<double> scale_;
  RowDerivatives row_;
  std::vector<double> scratch_;
  std::vector<double> shifted_;
  std::vector<double> slopes_;
  std::vector<double> information_;
  std::vector<double> hessian_;
  std::vector<double> inverse_;
  std::vector<double> fixed_;   // eta and zeta of each row without the intercepts
  std::vector<double> thirds_;  // of each row, by weighted_third
};

}  // namespace

double marginal_likelihood(const SubjectData& data, const double* theta, double* gradient, double* modes,
                           double* covariance, int n_threads, const Poll& poll) {
  const std::size_t free = data.rows.free();
  const std::size_t p = data.rows.n_parameters() + data.n_scales;
  const std::size_t n_chunks = (data.n_subjects + subjects_per_chunk - 1) / subjects_per_chunk;
  std::vector<double> values(n_chunks, 0.0);
  std::vector<double> gradients(n_chunks * p, 0.0);
  parallel_for(
      data.n_subjects, subjects_per_chunk, n_threads,
      [&](std::size_t begin, std::size_t end) {
        const std::size_t chunk = begin / subjects_per_chunk;
        Subject subject(data, theta);
        for (std::size_t s = begin; s < end; ++s)
          values[chunk] += subject.add(s, gradients.data() + chunk * p, modes + s * free, covariance + s * free * free);
      },
      poll);
  std::fill(gradient, gradient + p, 0.0);
  double value = 0.0;
  for (std::size_t c = 0; c < n_chunks; ++c) {
    value += values[c];
    for (std::size_t i = 0; i < p; ++i) gradient[i] += gradients[c * p + i];
  }
  return value;
}

}  // namespace hbm_fast
