// The Laplace approximation of a PosteriorDensity: a mode and the curvature there.
#pragma once

#include <cstddef>
#include <vector>

#include "core/parallel.hpp"
#include "mcmc/posterior_density.hpp"

namespace hbm_fast {

// The linear map y = centre + S (I + (stretch - 1) w w^T) z, S a diagonal and w a unit vector. The posterior's Hessian
// is diagonal plus rank one (all categories meet only in alpha), so that one w is enough for z to be nearly standard
// normal, at a cost of K.
struct Whitening {
  std::vector<double> centre;
  std::vector<double> scale;      // the diagonal of S
  std::vector<double> direction;  // w
  double stretch = 1.0;

  std::size_t dimension() const { return centre.size(); }
  // y at z
  void to_coordinates(const double* z, double* y) const;
  // z at y
  void from_coordinates(const double* y, double* z) const;
  // the gradient with respect to z, from that with respect to y (may be the same array)
  void pull_back(const double* gradient_y, double* gradient_z) const;
};

// The whitening by the curvature at y (its centre is y).
Whitening whitening_at(const PosteriorDensity& density, const double* y);

// Moves y to a mode of the density by damped Newton steps; polls before each.
void climb(PosteriorDensity& density, std::vector<double>& y, TimedPoll& poll);

}  // namespace hbm_fast
