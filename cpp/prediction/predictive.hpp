// Groups under a posterior's draws of (alpha, beta): theta given a group's counts, the probability of whole
// groups, counts to come. Draws come as logs, so that an alpha of 1e-300 or of 1e-400 is as good as any.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/parallel.hpp"
#include "core/stream.hpp"

namespace hbm_fast {

// B datasets of S draws each: log_alpha (B, S), log_beta (B, S, K), contiguous.
struct DrawsView {
  const double* log_alpha;
  const double* log_beta;
  std::size_t n_datasets;
  std::size_t n_draws;
  std::size_t n_categories;
};

// Where the random bits come from: draw s of dataset b reads the stream (key, site, datasets[b], s) of its group.
struct PosteriorAddress {
  Key key;
  std::uint64_t group;
  const std::uint64_t* datasets;  // (B,)
};

// log theta ~ Dirichlet(alpha beta + x), one for every draw; rows (B, K) holds the x of each dataset. Writes (B, S, K),
// all finite.
void draw_log_theta(const DrawsView& draws, const std::int64_t* rows, const PosteriorAddress& address,
                    double* log_theta, int n_threads, const Poll& poll);

// log p(x_r | alpha, beta) of the group r under every draw; rows (B, R, K), writes (B, S, R).
void group_log_pmf(const DrawsView& draws, const std::int64_t* rows, std::size_t n_rows, bool coefficient,
                   double* log_pmf, int n_threads, const Poll& poll);

// Counts of totals[b] items from theta: log_theta (B, S, K), writes (B, S, K).
void draw_predictive_counts(const double* log_theta, std::size_t n_datasets, std::size_t n_draws,
                            std::size_t n_categories, const std::int64_t* totals, const PosteriorAddress& address,
                            std::int64_t* counts, int n_threads, const Poll& poll);

}  // namespace hbm_fast
