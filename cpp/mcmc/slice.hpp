// One univariate slice step (Neal 2003, doi:10.1214/aos/1056562461: stepping out, then shrinkage).
#pragma once

#include "mcmc/chain.hpp"
#include "simulation/variates.hpp"

namespace hbm_fast {

// The new x; log_density may be -inf anywhere but at x. Counts its evaluations in `statistics`.
template <class LogDensity>
double slice(Stream& stream, double x, double width, LogDensity&& log_density, StepStatistics& statistics) {
  const auto evaluate = [&](double at) {
    ++statistics.n_evaluations;
    return log_density(at);
  };
  statistics.log_density = evaluate(x);
  const double level = statistics.log_density - exponential(stream);
  double left = x - width * stream.uniform();
  double right = left + width;
  constexpr int most = 10000;  // steps on either side: no density of ours is that wide
  for (int i = 0; i < most && evaluate(left) > level; ++i) left -= width;
  for (int i = 0; i < most && evaluate(right) > level; ++i) right += width;
  for (;;) {
    const double proposal = left + (right - left) * stream.uniform();
    const double value = evaluate(proposal);
    if (value > level) {
      statistics.log_density = value;
      return proposal;
    }
    (proposal < x ? left : right) = proposal;
    if (!(left < right)) return x;
  }
}

template <class LogDensity>
double slice(Stream& stream, double x, double width, LogDensity&& log_density) {
  StepStatistics unused;
  return slice(stream, x, width, log_density, unused);
}

}  // namespace hbm_fast
