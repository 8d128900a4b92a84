// The marginal posterior of log alpha over the whole range of its prior, with beta integrated out by Laplace's
// approximation around its conditional mode. Given alpha the density of beta has one mode (it is concave in beta, on
// the scale of log-ratios), so that a scan of the one number log alpha finds every mode of the posterior. From it come
// the starts of the chains, the number of modes, and a proposal that jumps between them.
#pragma once

#include <cstddef>
#include <vector>

#include "core/stream.hpp"
#include "mcmc/laplace.hpp"
#include "mcmc/posterior_density.hpp"

namespace hbm_fast {

// A range of log alpha around one mode of the posterior, and coordinates in which it is nearly a standard normal.
struct Region {
  double upper;  // it ends here, and begins where the one before ends
  AlphaCoordinate coordinate;
  Whitening whitening;
};

class Profile {
 public:
  // Polls between evaluations.
  Profile(const SufficientStatistics& statistics, const ModelView& model, TimedPoll& poll);

  // By increasing log alpha; one where there is one mode.
  const std::vector<Region>& regions() const { return regions_; }

  // A start for chain c of n: log alpha from the c-th of n parts of the square root of the marginal density (wider than
  // the posterior), of which every region has a share whatever its probability; beta from its Gaussian there.
  double draw_start(std::size_t c, std::size_t n, Stream& stream, double* log_beta) const;

  // Whether chains need the proposal below: there are several modes, or no one set of coordinates fits the only one.
  bool has_proposal() const { return !normals_.empty(); }
  // The proposal, a distribution of y = log(alpha beta): a mixture of normals along the profile, by their
  // probabilities.
  void draw(Stream& stream, double* y) const;
  double log_density(const double* y) const;  // up to a constant

 private:
  struct Point {
    double log_alpha;
    double log_marginal;           // up to a constant
    std::vector<double> log_beta;  // the conditional mode
    std::vector<double> scale;     // of log(alpha beta_k) there; empty where beta is fixed
    double cell = 0.0;             // the width of log alpha that it stands for
    double share = 0.0;            // its probability
  };

  Point point_at(PosteriorDensity& density, double log_alpha, std::vector<double> log_beta, TimedPoll& poll) const;
  void scan(PosteriorDensity& density, TimedPoll& poll);
  void divide(PosteriorDensity& density, TimedPoll& poll);
  bool is_uneven() const;
  Whitening whitening_of(const Point& point) const;

  const ModelView& model_;
  std::size_t dimension_;
  std::vector<Point> points_;
  std::vector<Region> regions_;
  std::vector<double> start_shares_;  // cumulative, of the points
  std::vector<double> shares_;        // cumulative, of the proposal's normals
  std::vector<Whitening> normals_;
  std::vector<double> log_heights_;  // log of share over the root of the determinant
};

// The one region of a posterior whose alpha is fixed: Newton steps arrive at its only mode.
Region region_of_fixed_alpha(PosteriorDensity& density, TimedPoll& poll);

// The highest mode of the posterior, and the standard deviation of log alpha by the curvature there (0 where alpha is
// fixed).
struct Mode {
  double log_alpha;
  std::vector<double> log_beta;
  double spread;
};
Mode highest_mode(const SufficientStatistics& statistics, const ModelView& model, TimedPoll& poll);

}  // namespace hbm_fast
