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
  double* log_share = row.cross;  // replaced by what it is for, category by category
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
    Rising f{0.0, 0.0, 0.0, 0.0};
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
  Rising g{0.0, total, 0.0, 0.0};
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
