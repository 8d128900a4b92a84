#include "hbm_fast/special.hpp"

#include <cmath>

namespace hbm_fast {
namespace {

// Up to here the products are exact enough and cheap; from here on Stirling's series at 8 or more converges to 1e-16.
constexpr double direct_limit = 16.0;

// lgamma(z) - (z - 1/2) log z + z - log(2 pi)/2 for z >= 8 (DLMF 5.11.1), and its first and second derivatives.
double stirling_tail(double z) {
  const double r = 1.0 / z;
  const double q = r * r;
  return r * (1.0 / 12 - q * (1.0 / 360 - q * (1.0 / 1260 - q * (1.0 / 1680 - q * (1.0 / 1188 - q * (691.0 / 360360 -
         q * (1.0 / 156 - q * 3617.0 / 122400)))))));
}

// log z - digamma(z) - 1/(2z)
double digamma_tail(double z) {
  const double q = 1.0 / (z * z);
  return q * (1.0 / 12 - q * (1.0 / 120 - q * (1.0 / 252 - q * (1.0 / 240 - q * (1.0 / 132 - q * (691.0 / 32760 -
         q * (1.0 / 12 - q * 3617.0 / 8160)))))));
}

// trigamma(z) - 1/z - 1/(2 z^2)
double trigamma_tail(double z) {
  const double r = 1.0 / z;
  const double q = r * r;
  return r * q * (1.0 / 6 - q * (1.0 / 30 - q * (1.0 / 42 - q * (1.0 / 30 - q * (5.0 / 66 - q * (691.0 / 2730 -
         q * (7.0 / 6 - q * 3617.0 / 510)))))));
}

}  // namespace

double log_rising(double a, double n) {
  if (n <= 0.0) return 0.0;
  if (n <= direct_limit) {
    if (a > 1e15) return n * std::log(a) + 0.5 * n * (n - 1.0) / a;
    double sum = std::log(a);
    double product = 1.0;
    for (double j = 1.0; j < n; j += 1.0) {
      product *= a + j;
      if (product > 1e280) {
        sum += std::log(product);
        product = 1.0;
      }
    }
    return sum + std::log(product);
  }
  // lift a to 8 or more, then take the difference of the two Stirling series term by term
  double lifted = 0.0;
  double z0 = a;
  double d = n;
  if (a < 8.0) {
    double product = 1.0;
    for (double j = 1.0; j < 8.0; j += 1.0) product *= a + j;
    lifted = std::log(a) + std::log(product);
    z0 = a + 8.0;
    d = n - 8.0;
  }
  const double z1 = z0 + d;
  return lifted + d * (std::log(z1) - 1.0) + (z0 - 0.5) * std::log1p(d / z0) + (stirling_tail(z1) - stirling_tail(z0));
}

double digamma_difference(double a, double n) {
  double sum = 0.0;
  if (n <= direct_limit) {
    for (double j = 0.0; j < n; j += 1.0) sum += 1.0 / (a + j);
    return sum;
  }
  double z0 = a;
  double d = n;
  if (a < 8.0) {
    for (double j = 0.0; j < 8.0; j += 1.0) sum += 1.0 / (a + j);
    z0 = a + 8.0;
    d = n - 8.0;
  }
  const double z1 = z0 + d;
  return sum + std::log1p(d / z0) + 0.5 * d / (z0 * z1) + (digamma_tail(z0) - digamma_tail(z1));
}

double trigamma_difference(double a, double n) {
  double sum = 0.0;
  if (n <= direct_limit) {
    for (double j = 0.0; j < n; j += 1.0) sum += 1.0 / ((a + j) * (a + j));
    return sum;
  }
  double z0 = a;
  double d = n;
  if (a < 8.0) {
    for (double j = 0.0; j < 8.0; j += 1.0) sum += 1.0 / ((a + j) * (a + j));
    z0 = a + 8.0;
    d = n - 8.0;
  }
  const double z1 = z0 + d;
  const double reciprocals = d / (z0 * z1);
  return sum + reciprocals + 0.5 * reciprocals * (1.0 / z0 + 1.0 / z1) + (trigamma_tail(z0) - trigamma_tail(z1));
}

double log_factorial(double n) { return n < 2.0 ? 0.0 : log_rising(1.0, n); }

}  // namespace hbm_fast
