#include "priors/prior.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "core/limits.hpp"
#include "math/special.hpp"
#include "simulation/variates.hpp"

namespace hbm_fast {
namespace {

#include "math/elementary.inl"

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double log_two_over_pi = -0.45158270528945486473;
constexpr double half_log_two_over_pi = 0.5 * log_two_over_pi;

// log of the integral of t^exponent over [lower, upper], in t = log alpha: integral of exp((exponent + 1) t) dt.
double log_power_mass(double exponent, double lower, double upper) {
  const double s = exponent + 1.0;
  const double width = std::log(upper) - std::log(lower);
  if (s * width == 0.0) return std::log(width);
  const double top = s > 0.0 ? std::log(upper) : std::log(lower);
  return s * top + std::log(-std::expm1(-std::abs(s) * width)) - std::log(std::abs(s));
}

}  // namespace

double AlphaPrior::log_density(double t) const {
  const double alpha = std::exp(t);
  if (bounded() && (t < std::log(lower) || t > std::log(upper))) return -infinity;
  switch (kind) {
    case AlphaKind::fixed: return 0.0;
    case AlphaKind::exponential: return std::log(a) + t - a * alpha;
    case AlphaKind::gamma: return a * (t + std::log(b)) - b * alpha - log_abs_gamma(a);
    case AlphaKind::log_normal: {
      const double z = (t - a) / b;
      return -0.5 * z * z - std::log(b) - half_log_two_pi;
    }
    case AlphaKind::half_normal: {
      const double z = alpha / a;
      return half_log_two_over_pi - std::log(a) + t - 0.5 * z * z;
    }
    case AlphaKind::half_cauchy: {
      // alpha / (1 + (alpha/a)^2), by the larger of the two forms so that neither overflows
      const double r = t - std::log(a);
      return log_two_over_pi + (r > 0.0 ? -r - std::log1p(std::exp(-2.0 * r)) : r - std::log1p(std::exp(2.0 * r)));
    }
    case AlphaKind::log_uniform: return -std::log(std::log(upper) - std::log(lower));
    case AlphaKind::lomax: {
      const double r = t - std::log(b);
      return std::log(a) +
             (r > 0.0 ? -a * r - (a + 1.0) * std::log1p(std::exp(-r)) : r - (a + 1.0) * std::log1p(std::exp(r)));
    }
    case AlphaKind::power: return (a + 1.0) * t - log_power_mass(a, lower, upper);
  }
  return -infinity;
}

double AlphaPrior::log_density_slope(double t) const {
  const double alpha = std::exp(t);
  switch (kind) {
    case AlphaKind::fixed: return 0.0;
    case AlphaKind::exponential: return 1.0 - a * alpha;
    case AlphaKind::gamma: return a - b * alpha;
    case AlphaKind::log_normal: return -(t - a) / (b * b);
    case AlphaKind::half_normal: return 1.0 - (alpha / a) * (alpha / a);
    case AlphaKind::half_cauchy: return -std::tanh(t - std::log(a));
    case AlphaKind::log_uniform: return 0.0;
    case AlphaKind::lomax: {
      const double r = t - std::log(b);
      return 1.0 - (a + 1.0) / (1.0 + std::exp(-r));
    }
    case AlphaKind::power: return a + 1.0;
  }
  return 0.0;
}

double AlphaPrior::log_density_curvature(double t) const {
  constexpr double h = 1e-4;  // relative error 2e-9 for a gamma
  return (log_density_slope(t + h) - log_density_slope(t - h)) / (2.0 * h);
}

double AlphaPrior::draw_log(Stream& stream) const {
  switch (kind) {
    case AlphaKind::fixed: return std::log(a);
    case AlphaKind::exponential: return log_of(exponential(stream)) - log_of(a);
    case AlphaKind::gamma: return log_gamma_variate(stream, a) - log_of(b);
    case AlphaKind::log_normal: return a + b * normal(stream);
    case AlphaKind::half_normal: return log_of(std::abs(normal(stream))) + log_of(a);
    case AlphaKind::half_cauchy: {  // the tangent of a quarter turn times u
      double sine = 0.0;
      double cosine = 0.0;
      sin_cos_turn(0.25 * stream.uniform(), sine, cosine);
      return log_of(sine / cosine) + log_of(a);
    }
    case AlphaKind::log_uniform: {
      const double u = stream.uniform();
      return (1.0 - u) * log_of(lower) + u * log_of(upper);
    }
    case AlphaKind::lomax: {  // (1 + alpha/b)^-a = u, log(e^x - 1) in the form that does not overflow
      const double x = -std::log(stream.uniform()) / a;
      return x + std::log(-std::expm1(-x)) + std::log(b);
    }
    case AlphaKind::power: {  // inverse distribution function of an exponential, truncated to a width, in log alpha
      const double s = a + 1.0;
      const double width = std::log(upper) - std::log(lower);
      const double u = stream.uniform();
      if (s * width == 0.0) return (1.0 - u) * std::log(lower) + u * std::log(upper);
      const double depth = -std::log1p(u * std::expm1(-std::abs(s) * width)) / std::abs(s);
      return s > 0.0 ? std::log(upper) - depth : std::log(lower) + depth;
    }
  }
  return 0.0;
}

double concentration_of(double log_concentration) {
  return std::exp(std::clamp(log_concentration, std::log(smallest_concentration), log_alpha_range));
}

}  // namespace hbm_fast
