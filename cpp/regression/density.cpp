#include "regression/density.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/limits.hpp"
#include "likelihood/kernels.hpp"
#include "math/special.hpp"
#include "math/sum.hpp"
#include "regression/proportions_kernels.hpp"

namespace hbm_fast {

RegressionDensity::RegressionDensity(const RegressionData& data, const InterceptData& intercepts, double log_normalizer)
    : data_(data),
      intercepts_(intercepts),
      n_theta_(data.n_parameters()),
      n_free_(data.free()),
      n_intercepts_(intercepts.n_subjects == 0     ? 0
                    : intercepts.of_all_categories ? data.n_categories
                                                   : data.free()),
      n_scales_(intercepts.n_subjects == 0 ? 0
                : intercepts.shared_scale  ? 1
                                           : n_intercepts_),
      constant_(log_normalizer),
      log_normalizer_(log_normalizer),
      penalty_(n_theta_ * n_theta_),
      rows_of_(intercepts.n_subjects),
      scale_(n_scales_),
      shift_(intercepts.n_subjects * n_free_),
      shift_slopes_(shift_.size()) {
  const std::size_t k = data.n_categories;
  const std::size_t columns = data.n_columns;
  for (std::size_t n = 0; n < data.n_rows; ++n) {
    const double* x = data.counts + n * k;
    if (std::any_of(x, x + k, [](double count) { return count > 0.0; })) filled_.push_back(n);
  }
  const std::size_t n_filled = filled_.size();
  columns_.resize(columns * n_filled);
  precision_columns_.resize(data.n_precision * n_filled);
  offset_.resize(n_filled);
  precision_offset_.resize(n_filled);
  std::vector<double> totals(n_filled);
  for (std::size_t i = 0; i < n_filled; ++i) {
    const std::size_t n = filled_[i];
    for (std::size_t a = 0; a < columns; ++a) columns_[a * n_filled + i] = data.design[n * columns + a];
    for (std::size_t q = 0; q < data.n_precision; ++q)
      precision_columns_[q * n_filled + i] = data.precision_design[n * data.n_precision + q];
    if (data.offset != nullptr) offset_[i] = data.offset[n];
    if (data.precision_offset != nullptr) precision_offset_[i] = data.precision_offset[n];
    if (intercepts.n_subjects != 0) {
      subject_.push_back(static_cast<std::size_t>(intercepts.subject[n]));
      rows_of_[subject_.back()].push_back(i);
    }
  }
  log_coefficients_.resize(n_filled);
  for (std::size_t j = 0; j < k; ++j) {
    for (std::size_t i = 0; i < n_filled; ++i) {
      const double count = data.counts[filled_[i] * k + j];
      if (count <= 0.0) continue;
      totals[i] += count;
      cells_.push_back(static_cast<std::uint32_t>(j * n_filled + i));
      rows_.push_back(static_cast<std::uint32_t>(i));
      counts_.push_back(count);
      log_coefficients_[i] -= log_factorial(count);
    }
  }
  for (std::size_t i = 0; i < n_filled; ++i) {
    log_coefficients_[i] += log_factorial(totals[i]);
    constant_ += log_coefficients_[i];
  }
  counts_.insert(counts_.end(), totals.begin(), totals.end());
  concentration_.resize(counts_.size());
  terms_.resize(counts_.size());
  mean_.resize(k * n_filled);
  slopes_.resize(k * n_filled);
  precision_.resize(n_filled);
  row_slopes_.resize(n_filled);
  const double shared = data.link == Link::log ? 0.0 : 1.0 / static_cast<double>(k);
  for (std::size_t j = 0; j < n_free_ && data.penalty != nullptr; ++j) {
    for (std::size_t l = 0; l < n_free_; ++l) {
      for (std::size_t a = 0; a < columns; ++a) {
        for (std::size_t b = 0; b < columns; ++b) {
          penalty_[(j * columns + a) * n_theta_ + l * columns + b] =
              ((j == l ? 1.0 : 0.0) - shared) * data.penalty[a * columns + b];
        }
      }
    }
  }
  const std::size_t first = n_free_ * columns;
  for (std::size_t q = 0; q < data.n_precision && data.precision_penalty != nullptr; ++q) {
    for (std::size_t r = 0; r < data.n_precision; ++r)
      penalty_[(first + q) * n_theta_ + first + r] = data.precision_penalty[q * data.n_precision + r];
  }
  constant_ -= half_log_two_pi * static_cast<double>(n_subjects() * n_intercepts_);
  constant_ -= static_cast<double>(n_scales_) * (std::log(intercepts.scale_sd) + half_log_two_pi);
}

// Fills scale_ and shift_, and mean_ and precision_ with linear predictors; that of the last category of a softmax is
// 0.
void RegressionDensity::predictors(const double* y) {
  const std::size_t n = filled_.size();
  const std::size_t k = data_.n_categories;
  const double* z = y + n_common();
  for (std::size_t t = 0; t < n_scales_; ++t) scale_[t] = y[n_theta_ + t];
  for (std::size_t s = 0; s < n_subjects(); ++s, z += n_intercepts_) {
    const double last = intercepts_.of_all_categories ? scale_[scale_of(k - 1)] * z[k - 1] : 0.0;
    for (std::size_t j = 0; j < n_free_; ++j) shift_[s * n_free_ + j] = scale_[scale_of(j)] * z[j] - last;
  }
  const auto add_columns = [n](const std::vector<double>& columns, std::size_t n_columns, const double* coefficients,
                               double* to) {
    for (std::size_t a = 0; a < n_columns; ++a) {
      const double* x = columns.data() + a * n;
      for (std::size_t i = 0; i < n; ++i) to[i] += coefficients[a] * x[i];
    }
  };
  for (std::size_t j = 0; j < n_free_; ++j) {
    double* eta = mean_.data() + j * n;
    std::copy(offset_.begin(), offset_.end(), eta);
    add_columns(columns_, data_.n_columns, y + j * data_.n_columns, eta);
    for (std::size_t i = 0; i < subject_.size(); ++i) eta[i] += shift_[subject_[i] * n_free_ + j];
  }
  if (n_free_ < k) std::fill(mean_.end() - static_cast<std::ptrdiff_t>(n), mean_.end(), 0.0);
  std::copy(precision_offset_.begin(), precision_offset_.end(), precision_.begin());
  add_columns(precision_columns_, data_.n_precision, y + n_free_ * data_.n_columns, precision_.data());
}

double RegressionDensity::value(const double* y, double* gradient) {
  const std::size_t k = data_.n_categories;
  const std::size_t columns = data_.n_columns;
  const std::size_t n = filled_.size();
  const std::size_t n_cells = cells_.size();
  const bool is_log = data_.link == Link::log;
  predictors(y);
  proportions()(mean_.data(), n, k, precision_.data(), is_log);
  for (std::size_t i = 0; i < n_cells; ++i) concentration_[i] = mean_[cells_[i]] * precision_[rows_[i]];
  std::copy(precision_.begin(), precision_.end(), concentration_.begin() + static_cast<std::ptrdiff_t>(n_cells));
  for (const double a : concentration_) {
    if (!(a > smallest_vector_concentration && a < largest_vector_concentration))
      return -std::numeric_limits<double>::infinity();
  }
  const LikelihoodKernels& kernels = likelihood_kernels();
  kernels.log_rising(concentration_.data(), counts_.data(), counts_.size(), terms_.data());
  double result = constant_;
  for (std::size_t i = 0; i < n_cells; ++i) result += terms_[i];
  for (std::size_t i = n_cells; i < terms_.size(); ++i) result -= terms_[i];

  const double* z = y + n_common();
  const std::size_t n_z = n_subjects() * n_intercepts_;
  for (std::size_t i = 0; i < n_z; ++i) result -= 0.5 * z[i] * z[i];
  const double precision = 1.0 / (intercepts_.scale_sd * intercepts_.scale_sd);
  for (std::size_t t = 0; t < n_scales_; ++t) result -= 0.5 * precision * scale_[t] * scale_[t];
  for (std::size_t a = 0; a < n_theta_; ++a) {
    const double product = dot(penalty_.data() + a * n_theta_, y, n_theta_);
    result -= 0.5 * y[a] * product;
    if (gradient != nullptr) gradient[a] = -product;
  }
  if (gradient == nullptr) return result;

  kernels.digamma_difference(concentration_.data(), counts_.data(), counts_.size(), terms_.data());
  const double* total_slope = terms_.data() + n_cells;  // times the precision
  std::fill(slopes_.begin(), slopes_.end(), 0.0);
  std::fill(row_slopes_.begin(), row_slopes_.end(), 0.0);
  for (std::size_t i = 0; i < n_cells; ++i) {
    const double slope = concentration_[i] * terms_[i];
    slopes_[cells_[i]] = slope;
    row_slopes_[rows_[i]] += slope;
  }
  std::fill(shift_slopes_.begin(), shift_slopes_.end(), 0.0);
  for (std::size_t j = 0; j < n_free_; ++j) {
    double* slope = slopes_.data() + j * n;
    const double* mean = mean_.data() + j * n;
    for (std::size_t i = 0; i < n; ++i)
      slope[i] -= (is_log ? precision_[i] * total_slope[i] : row_slopes_[i]) * mean[i];
    for (std::size_t a = 0; a < columns; ++a) gradient[j * columns + a] += dot(columns_.data() + a * n, slope, n);
    for (std::size_t i = 0; i < subject_.size(); ++i) shift_slopes_[subject_[i] * n_free_ + j] += slope[i];
  }
  for (std::size_t i = 0; i < n; ++i) row_slopes_[i] -= precision_[i] * total_slope[i];
  for (std::size_t q = 0; q < data_.n_precision; ++q)
    gradient[n_free_ * columns + q] += dot(precision_columns_.data() + q * n, row_slopes_.data(), n);
  for (std::size_t t = 0; t < n_scales_; ++t) gradient[n_theta_ + t] = -precision * scale_[t];
  double* to = gradient + n_common();
  for (std::size_t s = 0; s < n_subjects(); ++s, z += n_intercepts_, to += n_intercepts_) {
    double sum = 0.0;
    for (std::size_t i = 0; i < n_intercepts_; ++i) {
      const double slope = i == n_free_ ? -sum : shift_slopes_[s * n_free_ + i];
      sum += slope;
      const double scaled = slope * scale_[scale_of(i)];
      to[i] = scaled - z[i];
      gradient[n_theta_ + scale_of(i)] += slope * z[i];
    }
  }
  return result;
}

ArrowMatrix RegressionDensity::information(const double* y, bool frozen) {
  const std::size_t k = data_.n_categories;
  const std::size_t columns = data_.n_columns;
  const std::size_t common = n_common();
  const std::size_t n_precision = data_.n_precision;
  predictors(y);
  ArrowMatrix result(n_subjects(), n_intercepts_, common);
  for (std::size_t a = 0; a < n_theta_; ++a) {
    for (std::size_t b = 0; b < n_theta_; ++b) result.corner[a * common + b] = penalty_[a * n_theta_ + b];
  }
  // Of each subject, in its shifts of the J predictors: minus the Hessian, and its part with theta.
  std::vector<double> own(n_subjects() * n_free_ * n_free_);
  std::vector<double> with_theta(n_subjects() * n_free_ * n_theta_);
  std::vector<double> eta(k);
  RowDerivatives row(k);
  const std::size_t n_filled = filled_.size();
  for (std::size_t i = 0; i < n_filled; ++i) {
    const std::size_t n = filled_[i];
    for (std::size_t j = 0; j < n_free_; ++j) eta[j] = mean_[j * n_filled + i];
    evaluate_row(data_.link, data_.counts + n * k, k, eta.data(), precision_[i], row);
    const double* x = data_.design + n * columns;
    const double* v = data_.precision_design + n * n_precision;
    const bool has_subject = !subject_.empty();
    const std::size_t s = has_subject ? subject_[i] : 0;
    for (std::size_t j = 0; j < n_free_; ++j) {
      for (std::size_t l = 0; l < n_free_; ++l) {
        const double h = row.information(j, l);
        for (std::size_t a = 0; a < columns; ++a) {
          double* to = result.corner.data() + (j * columns + a) * common + l * columns;
          for (std::size_t b = 0; b < columns; ++b) to[b] += h * x[a] * x[b];
        }
        if (!has_subject) continue;
        own[(s * n_free_ + j) * n_free_ + l] += h;
        double* to = with_theta.data() + (s * n_free_ + j) * n_theta_ + l * columns;
        for (std::size_t b = 0; b < columns; ++b) to[b] += h * x[b];
      }
      for (std::size_t q = 0; q < n_precision; ++q) {
        const double h = row.zeta_eta[j] * v[q];
        const std::size_t at = n_free_ * columns + q;
        for (std::size_t a = 0; a < columns; ++a) {
          result.corner[(j * columns + a) * common + at] += h * x[a];
          result.corner[at * common + j * columns + a] += h * x[a];
        }
        if (has_subject) with_theta[(s * n_free_ + j) * n_theta_ + at] += h;
      }
    }
    for (std::size_t q = 0; q < n_precision; ++q) {
      for (std::size_t r = 0; r < n_precision; ++r)
        result.corner[(n_free_ * columns + q) * common + n_free_ * columns + r] += row.zeta_zeta * v[q] * v[r];
    }
  }
  // By the chain rule: the shifts are linear in z (jacobian J x I), and, for known z, in the scales (J x T).
  std::vector<double> in_z(n_free_ * n_intercepts_);
  std::vector<double> in_scale(n_free_ * n_scales_);
  const auto product = [&](const double* h, const std::vector<double>& left, std::size_t n_left, std::size_t i,
                           const std::vector<double>& right, std::size_t n_right, std::size_t r) {
    double sum = 0.0;
    for (std::size_t j = 0; j < n_free_; ++j) {
      for (std::size_t l = 0; l < n_free_; ++l)
        sum += left[j * n_left + i] * h[j * n_free_ + l] * right[l * n_right + r];
    }
    return sum;
  };
  const double* z = y + common;
  for (std::size_t s = 0; s < n_subjects(); ++s, z += n_intercepts_) {
    const double* h = own.data() + s * n_free_ * n_free_;
    const double* e = with_theta.data() + s * n_free_ * n_theta_;
    std::fill(in_scale.begin(), in_scale.end(), 0.0);
    for (std::size_t j = 0; j < n_free_; ++j) {
      for (std::size_t i = 0; i < n_intercepts_; ++i) {
        const double sign = i == j ? 1.0 : i == n_free_ ? -1.0 : 0.0;
        in_z[j * n_intercepts_ + i] = sign * scale_[scale_of(i)];
        if (!frozen) in_scale[j * n_scales_ + scale_of(i)] += sign * z[i];
      }
    }
    double* block = result.blocks.data() + s * n_intercepts_ * n_intercepts_;
    double* cross = result.cross.data() + s * n_intercepts_ * common;
    for (std::size_t i = 0; i < n_intercepts_; ++i) {
      for (std::size_t r = 0; r < n_intercepts_; ++r)
        block[i * n_intercepts_ + r] =
            (i == r ? 1.0 : 0.0) + product(h, in_z, n_intercepts_, i, in_z, n_intercepts_, r);
      for (std::size_t j = 0; j < n_free_; ++j) {
        const double factor = in_z[j * n_intercepts_ + i];
        for (std::size_t a = 0; a < n_theta_; ++a) cross[i * common + a] += factor * e[j * n_theta_ + a];
      }
      for (std::size_t t = 0; t < n_scales_; ++t)
        cross[i * common + n_theta_ + t] = product(h, in_z, n_intercepts_, i, in_scale, n_scales_, t);
    }
    for (std::size_t t = 0; t < n_scales_; ++t) {
      double* to = result.corner.data() + (n_theta_ + t) * common;
      for (std::size_t r = 0; r < n_scales_; ++r)
        to[n_theta_ + r] += product(h, in_scale, n_scales_, t, in_scale, n_scales_, r);
      for (std::size_t j = 0; j < n_free_; ++j) {
        for (std::size_t a = 0; a < n_theta_; ++a) {
          const double part = in_scale[j * n_scales_ + t] * e[j * n_theta_ + a];
          to[a] += part;
          result.corner[a * common + n_theta_ + t] += part;
        }
      }
    }
  }
  for (std::size_t t = 0; t < n_scales_; ++t) {
    double& diagonal = result.corner[(n_theta_ + t) * common + n_theta_ + t];
    diagonal += frozen ? 1.0 : 1.0 / (intercepts_.scale_sd * intercepts_.scale_sd);
  }
  return result;
}

}  // namespace hbm_fast
