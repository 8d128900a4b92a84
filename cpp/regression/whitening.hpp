// Coordinates in which the posterior of a regression is nearly a standard normal.
#pragma once

#include <vector>

#include "regression/density.hpp"

namespace hbm_fast {

// y = centre + L^-T w, L L' the information at the centre.
struct RegressionWhitening {
  std::vector<double> centre;
  ArrowFactor factor;
};

// Around the mode of theta, which is `theta` where there are no random intercepts; with them around the mode of
// (theta, z) given scales that a few steps of EM find (Laplace's approximation of the posterior of z).
RegressionWhitening whiten(RegressionDensity& density, const std::vector<double>& theta, const Poll& poll);

}  // namespace hbm_fast
