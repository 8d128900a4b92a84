// What the chains of one dataset share, and where each of them starts.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "mcmc/concentration.hpp"
#include "mcmc/crp_tables.hpp"
#include "mcmc/profile.hpp"

namespace hbm_fast {

struct Preparation {
  std::vector<Region> regions;          // one for each mode, by increasing log alpha
  std::optional<Profile> jumps;         // where it has a proposal: the one that moves over the whole range
  std::unique_ptr<TableCounts> tables;  // for Gibbs, and for the concentration of beta
  ConcentrationScale concentration;     // of an unknown one

  // The region that log alpha lies in.
  std::size_t region_of(double log_alpha) const {
    std::size_t r = 0;
    while (r + 1 < regions.size() && log_alpha > regions[r].upper) ++r;
    return r;
  }
};

struct Start {
  Stream stream;  // of the chain, from here on
  double log_alpha;
  std::vector<double> log_beta;
  double log_concentration = 0.0;  // where it is unknown
};

// Of a chain from its start on; none where the concentration of beta is known.
inline std::optional<Concentration> unknown_concentration(const ModelView& model, const Preparation& preparation,
                                                          const Start& start) {
  if (!model.beta.concentration) return std::nullopt;
  return Concentration(*model.beta.concentration, start.log_beta.size(), start.log_concentration,
                       preparation.concentration.width);
}

// One independence Metropolis step on (log alpha, beta) with the proposal of the profile. `log_posterior` is that of
// y = log(alpha beta); all three arguments are the current state, and the next one where this returns true.
// `density` is in the coordinate v = log alpha.
bool jump(const Profile& profile, PosteriorDensity& density, Stream& stream, double& log_alpha, double* log_beta,
          double& log_posterior);

}  // namespace hbm_fast
