// One group of a regression: its log-likelihood and derivatives in the linear predictors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace hbm_fast {

// softmax: eta of the categories but the last, whose eta is 0, give the mean proportions, zeta the log precision.
// log: the concentrations are exp(eta) of all K categories, and there is no zeta.
// multinomial: softmax with infinite precision.
enum class Link : std::uint8_t { softmax, log, multinomial };

// The number of eta, J.
constexpr std::size_t n_free(Link link, std::size_t n_categories) {
  return link == Link::log ? n_categories : n_categories - 1;
}

// What evaluate_row writes; arrays of K.
struct RowDerivatives {
  explicit RowDerivatives(std::size_t n_categories)
      : mean(n_categories), slope(n_categories), diagonal(n_categories), cross(n_categories), zeta_eta(n_categories) {}

  // Minus d^2 value / d eta_j d eta_l.
  double information(std::size_t j, std::size_t l) const {
    const double h = cross[j] * mean[l] + cross[l] * mean[j] - factor * mean[j] * mean[l];
    return j == l ? h + diagonal[j] : h;
  }

  double value = 0.0;         // without the multinomial coefficient
  std::vector<double> mean;   // mean proportions
  std::vector<double> slope;  // d value / d eta_j, J
  // minus the Hessian in eta is diag(diagonal) - factor m m' + m c' + c m', m the mean, c `cross`
  std::vector<double> diagonal, cross;
  double factor = 0.0;
  double zeta_slope = 0.0;       // d value / d zeta
  std::vector<double> zeta_eta;  // minus d^2 value / d zeta d eta_j, J
  double zeta_zeta = 0.0;        // minus d^2 value / d zeta^2
};

// counts of K categories; eta of J; zeta is read for softmax only.
void evaluate_row(Link link, const double* counts, std::size_t n_categories, const double* eta, double zeta,
                  RowDerivatives& row);

// Derivatives of sum_jl S_jl H_jl, H being minus the Hessian in eta, with respect to eta (J) and zeta; `weight` is S
// (J, J), symmetric, and `scratch` holds 4 K.
void weighted_third(Link link, const double* counts, std::size_t n_categories, const double* eta, double zeta,
                    const double* weight, double* scratch, double* slope, double& zeta_slope);

// The value alone; `scratch` of K.
double row_value(Link link, const double* counts, std::size_t n_categories, const double* eta, double zeta,
                 double* scratch);

}  // namespace hbm_fast
