#include "math/special.hpp"

#include <cmath>
#include <limits>

#include "core/limits.hpp"

namespace hbm_fast {
namespace {

// Up to here the products are exact enough and cheap; from here on Stirling's series at 8 or more converges to 1e-16.
constexpr double direct_limit = 16.0;

// lgamma(z) - (z - 1/2) log z + z - log(2 pi)/2 for z >= 8 (DLMF 5.11.1), and its first and second derivatives.
double stirling_tail(double z) {
  const double r = 1.0 / z;
  const double q = r * r;
  return r * (1.0 / 12 - q * (1.0 / 360 -
                              q * (1.0 / 1260 -
                                   q * (1.0 / 1680 - q * (1.0 / 1188 - q * (691.0 / 360360 -
                                                                            q * (1.0 / 156 - q * 3617.0 / 122400)))))));
}

// A polynomial at q0, and its divided difference between q0 and q1.
struct Polynomial {
  double value;
  double slope;
};

Polynomial polynomial(const double (&coefficients)[7], double q0, double q1) {
  Polynomial p{0.0, 0.0};
  for (int j = 6; j >= 0; --j) {
    p.slope = p.slope * q1 + p.value;
    p.value = p.value * q0 + coefficients[j];
  }
  return p;
}

// stirling_tail(z + r) - stirling_tail(z) as a divided difference in 1/z, times r; z >= 8.
double stirling_tail_slope(double z, double r) {
  constexpr double c[] = {1.0 / 12, -1.0 / 360, 1.0 / 1260, -1.0 / 1680, 1.0 / 1188, -691.0 / 360360, 1.0 / 156};
  const double s0 = 1.0 / z;
  const double s1 = 1.0 / (z + r);
  const double q0 = s0 * s0;
  const double q1 = s1 * s1;
  const auto [p, slope] = polynomial(c, q0, q1);
  // (s1 P(q1) - s0 P(q0)) with P(q1) = P(q0) + (q1 - q0) slope and s1 - s0 = -r s0 s1
  return -r * s0 * s1 * (p + s1 * (s0 + s1) * slope);
}

// log(1 + u) - u
double log1p_minus(double u) {
  if (u < -0.2 || u > 0.25) return std::log1p(u) - u;
  // log(1 + u) = 2 artanh(v), v = u / (2 + u)
  const double v = u / (2.0 + u);
  const double q = v * v;
  const double series =
      q * (2.0 / 3 +
           q * (2.0 / 5 +
                q * (2.0 / 7 + q * (2.0 / 9 + q * (2.0 / 11 + q * (2.0 / 13 + q * (2.0 / 15 + q * (2.0 / 17))))))));
  return v * series - u * v;
}

// sum_{j < n} log(1 + r / (a + j)), n small
double sum_log_ratios(double a, double r, double n) {
  if (r > 1e10 * a) {  // the ratio may overflow, and nothing cancels
    const double first = std::log(a + r) - std::log(a);
    return n > 1.0 ? first + sum_log_ratios(a + 1.0, r, n - 1.0) : first;
  }
  double excess = 0.0;  // the product less one
  double sum = 0.0;
  for (double j = 0.0; j < n; j += 1.0) {
    const double e = r / (a + j);
    excess += e + excess * e;
    if (excess > 1e200) {
      sum += std::log1p(excess);
      excess = 0.0;
    }
  }
  return sum + std::log1p(excess);
}

// log_rising(a, n) - n log a for n <= a
double log_rising_excess(double a, double n) {
  if (a > 1e17 * n) return 0.5 * n * (n - 1.0) / a;
  if (n <= 64.0) {
    double excess = 0.0;
    for (double j = 1.0; j < n; j += 1.0) {
      const double e = j / a;
      excess += e + excess * e;
    }
    return std::log1p(excess);
  }
  // (a+n) log(1+n/a) - n - log(1+n/a)/2 + tails, with a log(1+u) - n = a (log(1+u) - u) for u = n/a
  const double u = n / a;
  return a * log1p_minus(u) + (n - 0.5) * std::log1p(u) + (stirling_tail(a + n) - stirling_tail(a));
}

// digamma_tail(z) - digamma_tail(z + r) as a divided difference in 1/z^2; z >= 8.
double digamma_tail_shift(double z, double r) {
  constexpr double c[] = {1.0 / 12, -1.0 / 120, 1.0 / 252, -1.0 / 240, 1.0 / 132, -691.0 / 32760, 1.0 / 12};
  const double s0 = 1.0 / z;
  const double s1 = 1.0 / (z + r);
  const double q0 = s0 * s0;
  const double q1 = s1 * s1;
  const auto [p, slope] = polynomial(c, q0, q1);
  // q0 P(q0) - q1 P(q1) = (q0 - q1) (P(q0) + q1 slope), q0 - q1 = r s0 s1 (s0 + s1)
  return r * s0 * s1 * (s0 + s1) * (p + q1 * slope);
}

// trigamma(z) - 1/z - 1/(2 z^2)
double trigamma_tail(double z) {
  const double r = 1.0 / z;
  const double q = r * r;
  return r * q *
         (1.0 / 6 -
          q * (1.0 / 30 - q * (1.0 / 42 - q * (1.0 / 30 - q * (5.0 / 66 - q * (691.0 / 2730 -
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

double digamma_shortfall(double a, double n) {
  if (n <= direct_limit) {
    double sum = 0.0;
    for (double j = 1.0; j < n; j += 1.0) sum += j / (a + j);
    return sum / a;
  }
  return -log1p_minus(n / a) - 0.5 * n / (a + n) / a - (digamma_tail(a) - digamma_tail(a + n));
}

double digamma_shift(double a, double r, double n) {
  if (n <= 0.0 || r <= 0.0) return 0.0;
  double sum = 0.0;
  const double few = n <= direct_limit ? n : a < 8.0 ? 8.0 : 0.0;
  for (double j = 0.0; j < few; j += 1.0) sum += r / (a + r + j) / (a + j);
  if (few == n) return sum;
  a += few;
  n -= few;
  // the three parts of digamma_difference, each less that of a + r
  const double b = a + r;
  const double share = r / b;
  const double logs = std::log1p(n / a * (r / (b + n)));
  const double halves = 0.5 * (n / (a + n)) * share * ((a + (b + n)) / (b + n)) / a;
  return sum + logs + halves + (digamma_tail_shift(a, r) - digamma_tail_shift(a + n, r));
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

double digamma_tail(double z) {
  const double q = 1.0 / (z * z);
  return q * (1.0 / 12 -
              q * (1.0 / 120 -
                   q * (1.0 / 252 -
                        q * (1.0 / 240 - q * (1.0 / 132 - q * (691.0 / 32760 - q * (1.0 / 12 - q * 3617.0 / 8160)))))));
}

double log_choose(double a, double n) {
  const double small = a < n ? a : n;
  const double large = a < n ? n : a;
  const double u = small / large;
  // the leading parts (a + n) log(a + n) - a log a - n log n, both terms of which are positive
  const double leading = (small + large) * std::log1p(u) - (u > 0.0 ? small * std::log(u) : 0.0);
  return leading + (log_gamma_remainder(a + n) - log_gamma_remainder(a) - log_gamma_remainder(n) - std::log(n));
}

// Kahan's
double difference_of_products(double a, double b, double c, double d) {
  const double cd = c * d;
  return std::fma(a, b, -cd) + std::fma(-c, d, cd);
}

double log_abs_gamma(double x) {
#ifdef _WIN32
  return std::lgamma(x);  // writes no sign
#else
  int sign = 0;
  return ::lgamma_r(x, &sign);
#endif
}

double log_gamma_remainder(double z) {
  if (z >= 8.0) return half_log_two_pi - 0.5 * std::log(z) + stirling_tail(z);
  double product = 1.0;
  for (double j = 1.0; j < 8.0; j += 1.0) product *= z + j;
  const double x = z + 8.0;
  return half_log_two_pi + (x - 0.5) * std::log(x) - 8.0 - std::log(product) - (1.0 + z) * std::log(z) +
         stirling_tail(x);
}

double deviance(double x, double m, double d) {
  if (x <= 0.0) return m;
  const double ratio = x / m;
  if (std::abs(d) > 0.1 * (x + m)) return (ratio > 0.0 ? x * std::log(ratio) : 0.0) - d;  // it may underflow
  // log(x/m) = 2 artanh(v), v = d / (x + m)
  const double v = d / (x + m);
  const double q = v * v;
  double power = x * (2.0 * v * q);
  double sum = d * v;
  for (double j = 3.0; j < 30.0; j += 2.0) {
    const double next = sum + power / j;
    if (next == sum) break;
    sum = next;
    power *= q;
  }
  return sum;
}

double log_rising_shift(double a, double r, double n) {
  if (n <= 0.0 || r <= 0.0) return 0.0;
  if (n <= direct_limit) return -sum_log_ratios(a, r, n);
  if (r > n && a <= n) return log_rising(a, n) - log_rising(a + r, n);              // at least n log(3/2) is left
  if (r > n) {                                                                      // both a and r are large beside n
    const double scale = a + r <= std::numeric_limits<double>::max() ? 1.0 : 0.25;  // then n is nothing to a
    const double z = scale * a + scale * r;
    const double log_ratio = r > a ? std::log(scale * a / z) : std::log1p(-scale * r / z);
    return n * log_ratio + (log_rising_excess(a, n) - log_rising_excess(z, n));
  }
  double lifted = 0.0;
  if (a < 8.0) {
    lifted = sum_log_ratios(a, r, 8.0);
    a += 8.0;
    n -= 8.0;
  }
  // the second difference of Stirling's series, every part proportional to r
  const double z = a + n;
  const double curvature = z * log1p_minus(r / z) - a * log1p_minus(r / a);
  const double half = 0.5 * std::log1p(r * n / (a * (z + r)));
  const double tails = stirling_tail_slope(z, r) - stirling_tail_slope(a, r);
  return -(lifted + r * std::log1p(n / (a + r)) + curvature + half + tails);
}

}  // namespace hbm_fast
