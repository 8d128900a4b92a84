// One group of a regression: its log-likelihood and derivatives in the linear predictors.
#pragma once

#include <cstddef>
#include <cstdint>

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
  double value;      // without the multinomial coefficient
  double* mean;      // mean proportions
  double* slope;     // d value / d eta_j, J
  double* diagonal;  // minus the Hessian in eta is diag(diagonal) - factor m m' + m c' + c m', m the mean, c `cross`
  double* cross;
  double factor;
  double zeta_slope;  // d value / d zeta
  double* zeta_eta;   // minus d^2 value / d zeta d eta_j, J
  double zeta_zeta;   // minus d^2 value / d zeta^2
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
