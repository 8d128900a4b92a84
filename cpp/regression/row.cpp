#include "regression/row.hpp"

#include <algorithm>
#include <cmath>

#include "math/special.hpp"
#include "regression/rising.hpp"

namespace hbm_fast {
namespace {

// eta less log sum exp eta, with the eta 0 of the last category for the softmax; returns log sum exp.
double log_mean(Link link, std::size_t n_categories, const double* eta, double* out) {
  const std::size_t free = n_free(link, n_categories);
  double largest = link == Link::log ? eta[0] : 0.0;
  for (std::size_t k = 0; k < free; ++k) largest = std::max(largest, eta[k]);
  double sum = link == Link::log ? 0.0 : std::exp(-largest);
  for (std::size_t k = 0; k < free; ++k) sum += std::exp(eta[k] - largest);
  const double log_sum = largest + std::log(sum);
  for (std::size_t k = 0; k < free; ++k) out[k] = eta[k] - log_sum;
  if (link != Link::log) out[n_categories - 1] = -log_sum;
  return log_sum;
}

}  // namespace

void evaluate_row(Link link, const double* counts, std::size_t n_categories, const double* eta, double zeta,
                  RowDerivatives& row) {
  const std::size_t free = n_free(link, n_categories);
  double* log_share = row.cross.data();  // replaced by what it is for, category by category
  const double log_sum = log_mean(link, n_categories, eta, log_share);
  const double log_total = link == Link::log ? log_sum : zeta;
  const double precision = std::exp(log_total);
  double total = 0.0;
  for (std::size_t k = 0; k < n_categories; ++k) total += counts[k];

  double value = 0.0;
  double slopes = 0.0;
  double curvatures = 0.0;
  double shortfalls = 0.0;
  for (std::size_t k = 0; k < n_categories; ++k) {
    const double mean = std::exp(log_share[k]);
    Rising f{0.0, 0.0, 0.0, 0.0, 0.0};
    if (link == Link::multinomial) {
      f.slope = counts[k];
      if (counts[k] > 0.0) f.value = counts[k] * log_share[k];
    } else if (counts[k] > 0.0) {
      f = rising(log_total + log_share[k], precision * mean, counts[k]);
    }
    value += f.value;
    slopes += f.slope;
    curvatures += f.curvature;
    shortfalls += f.shortfall;
    row.mean[k] = mean;
    row.cross[k] = f.curvature;
    if (k < free) row.slope[k] = f.slope;
  }
  Rising g{0.0, total, 0.0, 0.0, 0.0};
  if (link != Link::multinomial) g = rising(log_total, precision, total);
  row.value = value - g.value;
  if (link == Link::log) {
    for (std::size_t k = 0; k < free; ++k) {
      row.slope[k] -= g.slope * row.mean[k];
      row.diagonal[k] = g.slope * row.mean[k] - row.cross[k];
      row.cross[k] = 0.0;
    }
    row.factor = g.slope - g.curvature;
    return;
  }
  for (std::size_t k = 0; k < free; ++k) {
    row.slope[k] -= slopes * row.mean[k];
    row.diagonal[k] = slopes * row.mean[k] - row.cross[k];
    row.zeta_eta[k] = curvatures * row.mean[k] - row.cross[k];
  }
  row.factor = slopes + curvatures;
  row.zeta_slope = g.shortfall - shortfalls;
  row.zeta_zeta = g.curvature - curvatures;
}

void weighted_third(Link link, const double* counts, std::size_t n_categories, const double* eta, double zeta,
                    const double* weight, double* scratch, double* slope, double& zeta_slope) {
  const std::size_t free = n_free(link, n_categories);
  double* mean = scratch;
  double* curvature = scratch + n_categories;
  double* third = scratch + 2 * n_categories;
  double* product = scratch + 3 * n_categories;  // S m
  const double log_sum = log_mean(link, n_categories, eta, mean);
  const double log_total = link == Link::log ? log_sum : zeta;
  const double precision = std::exp(log_total);
  double total = 0.0;
  double slopes = 0.0;
  double curvatures = 0.0;
  double thirds = 0.0;
  for (std::size_t k = 0; k < n_categories; ++k) {
    const double log_share = mean[k];
    mean[k] = std::exp(log_share);
    total += counts[k];
    Rising f{0.0, counts[k], 0.0, 0.0, 0.0};
    if (link != Link::multinomial) f = rising(log_total + log_share, precision * mean[k], counts[k]);
    slopes += f.slope;
    curvatures += f.curvature;
    thirds += f.third;
    curvature[k] = f.curvature;
    third[k] = f.third;
  }
  // H = diag(outer m - curvature) - factor m m' + m c' + c m', and their derivatives along the total: for the log link
  // outer and factor are functions of the total concentration, and c is 0.
  double outer = slopes;
  double factor = slopes + curvatures;
  if (link == Link::log) {
    const Rising g = rising(log_total, precision, total);
    outer = g.slope;
    factor = g.slope - g.curvature;
    curvatures = g.curvature;
    thirds = g.third;
  }
  double trace_mean = 0.0;      // sum S_jj m_j
  double trace_third = 0.0;     // sum S_jj third_j
  double form = 0.0;            // m' S m
  double form_curvature = 0.0;  // m' S curvature
  double form_third = 0.0;      // m' S third
  for (std::size_t j = 0; j < free; ++j) {
    double sum = 0.0;
    for (std::size_t l = 0; l < free; ++l) sum += weight[j * free + l] * mean[l];
    product[j] = sum;
    trace_mean += weight[j * free + j] * mean[j];
    trace_third += weight[j * free + j] * third[j];
    form += mean[j] * sum;
    form_curvature += curvature[j] * sum;
    form_third += third[j] * sum;
  }
  for (std::size_t i = 0; i < free; ++i) {
    const double s = weight[i * free + i];
    const double m = mean[i];
    slope[i] = outer * m * (s - trace_mean) - s * third[i] - 2.0 * factor * m * (product[i] - form);
    if (link == Link::log) {
      slope[i] += m * (curvatures * trace_mean - (curvatures - thirds) * form);
      continue;
    }
    double cross = 0.0;  // (S curvature)_i
    for (std::size_t l = 0; l < free; ++l) cross += weight[i * free + l] * curvature[l];
    slope[i] += (curvature[i] - curvatures * m) * trace_mean + m * trace_third -
                (curvature[i] + third[i] - (curvatures + thirds) * m) * form +
                2.0 * (m * (cross - form_curvature) + third[i] * product[i] - m * form_third);
  }
  zeta_slope = curvatures * trace_mean - trace_third - (curvatures + thirds) * form + 2.0 * form_third;
}

double row_value(Link link, const double* counts, std::size_t n_categories, const double* eta, double zeta,
                 double* scratch) {
  const double log_sum = log_mean(link, n_categories, eta, scratch);
  const double log_total = link == Link::log ? log_sum : zeta;
  double total = 0.0;
  double value = 0.0;
  for (std::size_t k = 0; k < n_categories; ++k) {
    if (counts[k] <= 0.0) continue;
    total += counts[k];
    const double log_a = log_total + scratch[k];
    value += link == Link::multinomial ? counts[k] * scratch[k] : rising_value(log_a, std::exp(log_a), counts[k]);
  }
  return link == Link::multinomial ? value : value - rising_value(log_total, std::exp(log_total), total);
}

}  // namespace hbm_fast
