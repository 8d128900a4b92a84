// Scalar exact variates on a Stream: the reference for the vector simulator, and what the samplers draw with.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/stream.hpp"

namespace hbm_fast {

double exponential(Stream& stream);
double normal(Stream& stream);

// log of a Gamma(shape, 1) variate; shape > 0 down to 1e-300, always finite.
double log_gamma_variate(Stream& stream, double shape);

// log of a Dirichlet(concentration) variate: K values, all finite or (concentration 0) -inf, logsumexp 0.
void log_dirichlet(Stream& stream, const double* concentration, std::size_t n_categories, double* log_theta);

// Uniform on low..high inclusive.
std::int64_t uniform_integer(Stream& stream, std::int64_t low, std::int64_t high);

// Binomial(n, p), n up to 2^31.
std::int64_t binomial(Stream& stream, std::int64_t n, double p);
// The same with p = successes / (successes + failures): neither tail is lost to a subtraction.
std::int64_t binomial_odds(Stream& stream, std::int64_t n, double successes, double failures);

// Multinomial(total, weights / sum of weights) by conditional binomials; K weights >= 0, not all zero. `scratch` holds
// 2 K values.
void multinomial(Stream& stream, std::int64_t total, const double* weights, std::size_t n_categories, double* scratch,
                 std::int64_t* counts);

}  // namespace hbm_fast
