#include "regression/density.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/limits.hpp"
#include "likelihood/kernels.hpp"
#include "math/special.hpp"

namespace hbm_fast {
namespace {

constexpr double log_two_pi = 1.8378770664093454836;

double dot(const double* a, const double* b, std::size_t n) {
  double sum = 0.0;
  for (std::size_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

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
      penalty_(n_theta_ * n_theta_),
      eta_(data.n_rows * data.n_categories),
      zeta_(data.n_rows),
      scale_(n_scales_),
      shift_(intercepts.n_subjects * n_free_),
      slopes_(n_free_),
      shifted_(shift_.size()) {
  const std::size_t k = data.n_categories;
  const std::size_t columns = data.n_columns;
  std::vector<double> totals;
  for (std::size_t n = 0; n < data.n_rows; ++n) {
    double total = 0.0;
    for (std::size_t i = n * k; i < (n + 1) * k; ++i) {
      if (data.counts[i] <= 0.0) continue;
      total += data.counts[i];
      cells_.push_back(i);
      counts_.push_back(data.counts[i]);
      constant_ -= log_factorial(data.counts[i]);
    }
    if (total == 0.0) continue;
    filled_.push_back(n);
    totals.push_back(total);
    constant_ += log_factorial(total);
  }
  counts_.insert(counts_.end(), totals.begin(), totals.end());
  concentration_.resize(counts_.size());
  terms_.resize(counts_.size());
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
  constant_ -= 0.5 * log_two_pi * static_cast<double>(n_subjects() * n_intercepts_);
  constant_ -= static_cast<double>(n_scales_) * (std::log(intercepts.scale_sd) + 0.5 * (log_two_pi - std::log(4.0)));
}

// Fills scale_, shift_, eta_ and zeta_; eta_ of the last category of a softmax is 0.
void RegressionDensity::predictors(const double* y) {
  const std::size_t k = data_.n_categories;
  const std::size_t columns = data_.n_columns;
  const double* z = y + n_common();
  for (std::size_t t = 0; t < n_scales_; ++t) scale_[t] = std::exp(y[n_theta_ + t]);
  for (std::size_t s = 0; s < n_subjects(); ++s, z += n_intercepts_) {
    const double last = intercepts_.of_all_categories ? scale_[scale_of(k - 1)] * z[k - 1] : 0.0;
    for (std::size_t j = 0; j < n_free_; ++j) shift_[s * n_free_ + j] = scale_[scale_of(j)] * z[j] - last;
  }
  for (const std::size_t n : filled_) {
    const double* x = data_.design + n * columns;
    const double offset = data_.offset != nullptr ? data_.offset[n] : 0.0;
    double* row = eta(n);
    for (std::size_t j = 0; j < n_free_; ++j) row[j] = offset + dot(x, y + j * columns, columns);
    if (n_free_ < k) row[n_free_] = 0.0;
    if (intercepts_.subject != nullptr) {
      const double* shift = shift_.data() + static_cast<std::size_t>(intercepts_.subject[n]) * n_free_;
      for (std::size_t j = 0; j < n_free_; ++j) row[j] += shift[j];
    }
    zeta_[n] = data_.precision_offset != nullptr ? data_.precision_offset[n] : 0.0;
    if (data_.n_precision != 0)
      zeta_[n] += dot(data_.precision_design + n * data_.n_precision, y + n_free_ * columns, data_.n_precision);
  }
}

double RegressionDensity::value(const double* y, double* gradient) {
  const std::size_t k = data_.n_categories;
  const std::size_t columns = data_.n_columns;
  const std::size_t n_cells = cells_.size();
  const bool is_log = data_.link == Link::log;
  predictors(y);
  // eta becomes the mean proportions, zeta the precision
  for (const std::size_t n : filled_) {
    double* row = eta(n);
    const double largest = *std::max_element(row, row + k);
    double sum = 0.0;
    for (std::size_t j = 0; j < k; ++j) {
      row[j] = std::exp(row[j] - largest);
      sum += row[j];
    }
    const double inverse = 1.0 / sum;
    for (std::size_t j = 0; j < k; ++j) row[j] *= inverse;
    zeta_[n] = is_log ? std::exp(largest) * sum : std::exp(zeta_[n]);
  }
  for (std::size_t i = 0; i < n_cells; ++i) concentration_[i] = eta_[cells_[i]] * zeta_[cells_[i] / k];
  for (std::size_t i = 0; i < filled_.size(); ++i) concentration_[n_cells + i] = zeta_[filled_[i]];
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
  for (std::size_t t = 0; t < n_scales_; ++t) result += y[n_theta_ + t] - 0.5 * precision * scale_[t] * scale_[t];
  for (std::size_t a = 0; a < n_theta_; ++a) {
    const double product = dot(penalty_.data() + a * n_theta_, y, n_theta_);
    result -= 0.5 * y[a] * product;
    if (gradient != nullptr) gradient[a] = -product;
  }
  if (gradient == nullptr) return result;

  kernels.digamma_difference(concentration_.data(), counts_.data(), counts_.size(), terms_.data());
  std::fill(shifted_.begin(), shifted_.end(), 0.0);
  std::size_t cell = 0;
  for (std::size_t i = 0; i < filled_.size(); ++i) {
    const std::size_t n = filled_[i];
    const double* mean = eta(n);
    const double total_slope = zeta_[n] * terms_[n_cells + i];
    const double* x = data_.design + n * columns;
    double sum = 0.0;
    for (std::size_t j = 0; j < n_free_; ++j) slopes_[j] = 0.0;
    for (; cell < n_cells && cells_[cell] < (n + 1) * k; ++cell) {
      const double slope = concentration_[cell] * terms_[cell];
      const std::size_t j = cells_[cell] - n * k;
      sum += slope;
      if (j < n_free_) slopes_[j] = slope;
    }
    const double pull = is_log ? total_slope : sum;
    for (std::size_t j = 0; j < n_free_; ++j) {
      const double slope = slopes_[j] - pull * mean[j];
      double* to = gradient + j * columns;
      for (std::size_t a = 0; a < columns; ++a) to[a] += slope * x[a];
      if (intercepts_.subject != nullptr)
        shifted_[static_cast<std::size_t>(intercepts_.subject[n]) * n_free_ + j] += slope;
    }
    for (std::size_t q = 0; q < data_.n_precision; ++q)
      gradient[n_free_ * columns + q] += (sum - total_slope) * data_.precision_design[n * data_.n_precision + q];
  }
  for (std::size_t t = 0; t < n_scales_; ++t) gradient[n_theta_ + t] = 1.0 - precision * scale_[t] * scale_[t];
  double* to = gradient + n_common();
  for (std::size_t s = 0; s < n_subjects(); ++s, z += n_intercepts_, to += n_intercepts_) {
    double sum = 0.0;
    for (std::size_t i = 0; i < n_intercepts_; ++i) {
      const bool is_last = i == n_free_;
      const double slope = is_last ? -sum : shifted_[s * n_free_ + i];
      sum += slope;
      const double scaled = slope * scale_[scale_of(i)];
      to[i] = scaled - z[i];
      gradient[n_theta_ + scale_of(i)] += scaled * z[i];
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
  std::vector<double> memory(5 * k);
  RowDerivatives row{0.0,
                     memory.data(),
                     memory.data() + k,
                     memory.data() + 2 * k,
                     memory.data() + 3 * k,
                     0.0,
                     0.0,
                     memory.data() + 4 * k,
                     0.0};
  for (const std::size_t n : filled_) {
    evaluate_row(data_.link, data_.counts + n * k, k, eta(n), zeta_[n], row);
    const double* x = data_.design + n * columns;
    const double* v = data_.precision_design + n * n_precision;
    const bool has_subject = intercepts_.subject != nullptr;
    const std::size_t s = has_subject ? static_cast<std::size_t>(intercepts_.subject[n]) : 0;
    for (std::size_t j = 0; j < n_free_; ++j) {
      for (std::size_t l = 0; l < n_free_; ++l) {
        double h = row.cross[j] * row.mean[l] + row.cross[l] * row.mean[j] - row.factor * row.mean[j] * row.mean[l];
        if (l == j) h += row.diagonal[j];
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
  // By the chain rule: the shifts are linear in z (jacobian J x I), and in the log scales (J x T) to first order.
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
        if (!frozen) in_scale[j * n_scales_ + scale_of(i)] += sign * scale_[scale_of(i)] * z[i];
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
    const double ratio = scale_[t] / intercepts_.scale_sd;
    diagonal += frozen ? 1.0 : 2.0 * ratio * ratio;
  }
  return result;
}

}  // namespace hbm_fast
