// Differences of log-gammas and digammas, computed as differences: never two log-gammas subtracted.
#pragma once

namespace hbm_fast {

// log(a (a+1) ... (a+n-1)) = lgamma(a + n) - lgamma(a); a > 0, n >= 0 an integer. Relative error below 1e-14.
double log_rising(double a, double n);

// digamma(a + n) - digamma(a) = 1/a + ... + 1/(a+n-1).
double digamma_difference(double a, double n);

// trigamma(a) - trigamma(a + n) = 1/a^2 + ... + 1/(a+n-1)^2.
double trigamma_difference(double a, double n);

// log(n!), n >= 0 an integer.
double log_factorial(double n);

}  // namespace hbm_fast
