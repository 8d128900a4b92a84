// Many datasets, many chains, one call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "mcmc/chain.hpp"
#include "priors/prior.hpp"
#include "statistics/sufficient_statistics.hpp"

namespace hbm_fast {

enum class SamplerKind : std::uint8_t { hmc, gibbs, metropolis };

struct SamplerOptions : ChainOptions {
  std::vector<SamplerKind> kinds;  // one for each dataset
  // Where the chains start, (B, C) and (B, C, K), if not at draws from the profile of log alpha; where the density is
  // not finite there, the draws serve.
  const double* start_log_alpha = nullptr;
  const double* start_log_beta = nullptr;
};

// Where the draws go: (B, C, D), and (B, C, D, K) for log beta.
struct SampleArrays {
  double* log_alpha;
  double* log_beta;
  double* log_density;
  double* acceptance;
  double* step_size;
  std::int32_t* n_evaluations;
  bool* diverging;
  std::int32_t* n_modes;                // (B,), of log alpha
  double* log_concentration = nullptr;  // of beta, where it is unknown; else null
};

// Draws from the posterior of every dataset. Chain c of dataset b uses Stream(key, Site::chain, b, c) alone, so that
// nothing depends on n_threads or on the other datasets. `progress`, if given, is called with the poll and the share
// of iterations done.
void sample(const std::vector<const SufficientStatistics*>& datasets, const ModelView& model,
            const SamplerOptions& options, const SampleArrays& out, const std::function<void(double)>& poll);

}  // namespace hbm_fast
