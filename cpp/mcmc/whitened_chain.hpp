// What chains on the whitened coordinates of PosteriorDensity share. Before its own proposals each step draws an
// unknown concentration of beta, with beta, given alpha, and tries a jump over the whole range of alpha.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "mcmc/hamiltonian.hpp"
#include "mcmc/start.hpp"

namespace hbm_fast {

class WhitenedChain : public Chain {
 public:
  double parameters(double* log_beta) const override;
  double log_concentration() const override;

 protected:
  // `preparation` outlives the chain, which is nowhere until it has entered its start.
  WhitenedChain(const SufficientStatistics& statistics, const ModelView& model, const Preparation& preparation,
                const Start& start);

  // From here on the coordinates are those of this region.
  void use_region(std::size_t region);
  // To these parameters, in the coordinates in use.
  virtual void enter(double log_alpha, const double* log_beta);
  // At here_.y: finds the rest of here_.
  virtual void arrive() = 0;
  // The concentration and the jump.
  void begin_step();
  // Of the parameters here, whatever the coordinates.
  double log_posterior() const;

  PosteriorDensity density_;
  const Preparation& preparation_;
  std::size_t region_ = 0;
  const Whitening* whitening_ = nullptr;  // of the region
  Stream stream_;
  WhitenedPoint here_, there_;
  std::vector<double> log_beta_;

 private:
  PosteriorDensity plain_;  // in v = log alpha, for jumps
  std::optional<Concentration> concentration_;
};

}  // namespace hbm_fast
