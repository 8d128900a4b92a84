// The priors of a model, as the kernels see them: alpha's density and draws, beta's Dirichlet or fixed value.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/stream.hpp"

namespace hbm_fast {

// The parameters (a, b) and the support of each are those of python/hbm_fast/priors.py.
enum class AlphaKind : std::uint8_t {
  fixed,        // alpha = a
  exponential,  // rate a
  gamma,        // shape a, rate b
  log_normal,   // log alpha ~ Normal(a, b)
  half_normal,  // scale a
  half_cauchy,  // scale a
  log_uniform,  // log alpha uniform on [log lower, log upper]
  lomax,        // density a/b (1 + alpha/b)^(-a-1): (1 + alpha)^(-3/2) is a = 1/2, b = 1
  power,        // density proportional to alpha^a on [lower, upper]
};

struct AlphaPrior {
  AlphaKind kind = AlphaKind::exponential;
  double a = 1.0;
  double b = 0.0;
  double lower = 0.0;  // support: alpha in (lower, upper)
  double upper = 0.0;  // 0 stands for no bound

  bool bounded() const { return kind == AlphaKind::log_uniform || kind == AlphaKind::power; }

  // log density of log(alpha) (the Jacobian alpha is included); -inf outside the support. 0 for a fixed alpha.
  double log_density(double log_alpha) const;
  // its derivative with respect to log(alpha)
  double log_density_slope(double log_alpha) const;
  // and its second derivative, by a difference of slopes
  double log_density_curvature(double log_alpha) const;
  // log of a draw
  double draw_log(Stream& stream) const;
};

struct BetaPrior {
  bool fixed = false;
  std::vector<double> values;  // the Dirichlet's concentration, or the fixed beta itself
  // Where beta ~ Dirichlet(c, ..., c) with an unknown c: the prior of c. `values` then states K, and a value of c to
  // start from.
  std::optional<AlphaPrior> concentration;
};

// c of log c, within the range that the Dirichlet's variates and densities compute with: beyond it beta is a corner of
// the simplex, or its centre, to double precision.
double concentration_of(double log_concentration);

struct ModelView {
  AlphaPrior alpha;
  BetaPrior beta;
};

}  // namespace hbm_fast
