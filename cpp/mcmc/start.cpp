#include "mcmc/start.hpp"

#include <algorithm>
#include <cmath>

namespace hbm_fast {

bool jump(const Profile& profile, PosteriorDensity& density, Stream& stream, double& log_alpha, double* log_beta,
          double& log_posterior) {
  std::vector<double> y(density.dimension()), proposal(density.dimension());
  density.coordinates(log_alpha, log_beta, y.data());
  profile.draw(stream, proposal.data());
  const double u = stream.uniform();
  const double proposed = density.value(proposal.data(), nullptr);
  if (!std::isfinite(proposed)) return false;
  const double gain = proposed - log_posterior + profile.log_density(y.data()) - profile.log_density(proposal.data());
  if (!(std::log(u) < gain)) return false;
  log_alpha = density.parameters(proposal.data(), log_beta);
  log_posterior = proposed;
  return true;
}

}  // namespace hbm_fast
