// Differences of log-gammas and digammas, computed as differences: never two log-gammas subtracted.
#pragma once

namespace hbm_fast {

// log(a (a+1) ... (a+n-1)) = lgamma(a + n) - lgamma(a); a > 0, n >= 0 an integer. Relative error below 1e-14.
double log_rising(double a, double n);

// digamma(a + n) - digamma(a) = 1/a + ... + 1/(a+n-1).
double digamma_difference(double a, double n);

// n/a - (1/a + ... + 1/(a+n-1)) = sum_{j < n} j / (a (a + j)) to full relative precision; a >= n.
double digamma_shortfall(double a, double n);

// [digamma(a + n) - digamma(a)] - [digamma(a + r + n) - digamma(a + r)] = sum_{j < n} r / ((a + j) (a + r + j)) to full
// relative precision, however small or large r is beside a; a > 0, r >= 0, their sum finite.
double digamma_shift(double a, double r, double n);

// trigamma(a) - trigamma(a + n) = 1/a^2 + ... + 1/(a+n-1)^2.
double trigamma_difference(double a, double n);

// log z - digamma(z) - 1/(2z), z >= 8.
double digamma_tail(double z);

// log(n!), n >= 0 an integer.
double log_factorial(double n);

// log(a (a+1) ... (a+n-1) / n!); a > 0, n >= 1 an integer. The error is some epsilon of min(a, n) (1 + log(max / min))
// and of the logarithms of both: no log-gamma of a large number is subtracted.
double log_choose(double a, double n);

// a b - c d with one rounding of the result.
double difference_of_products(double a, double b, double c, double d);

// log |Gamma(x)|: std::lgamma also writes the sign to a global variable, which is a data race between threads.
double log_abs_gamma(double x);

// log Gamma(z) - z log z + z: what is left of log-gamma after its leading part; z > 0.
double log_gamma_remainder(double z);

// log(a ... (a+n-1)) - log((a+r) ... (a+r+n-1)) <= 0 to full relative precision, however small r is beside a; a > 0, r
// >= 0.
double log_rising_shift(double a, double r, double n);

// x log(x/m) + m - x >= 0 for x = m + d (Loader's deviance), to full relative precision of d; x >= 0, m > 0.
double deviance(double x, double m, double d);

}  // namespace hbm_fast
