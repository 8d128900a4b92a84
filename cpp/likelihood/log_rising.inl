// log Gamma(a + x) - log Gamma(a) and its derivative, as differences; text for a namespace of each instruction-set
// level.

inline uint64_t bits_of(double x) { return __builtin_bit_cast(uint64_t, x); }
inline double double_of(uint64_t b) { return __builtin_bit_cast(double, b); }

// x = m 2^e with m in [sqrt(1/2), sqrt(2)); the exponent becomes a double through 2^52, since AVX2 cannot convert int64
struct Split {
  double m;
  double e;
};

inline Split split(double x) {
  constexpr uint64_t sqrt_half = 0x3fe6a09e667f3bcdULL;
  const uint64_t shifted = bits_of(x) + (0x3ff0000000000000ULL - sqrt_half);
  const double e = double_of((shifted >> 52) | 0x4330000000000000ULL) - (4503599627370496.0 + 1023.0);
  return {double_of((shifted & 0x000fffffffffffffULL) + sqrt_half), e};
}

#include "math/multiply_add.inl"

// The minimax polynomial of log((1+s)/(1-s)) = 2s + s R(s^2) from FreeBSD's msun (Sun Microsystems, e_log.c), and its
// order of adding the parts; s = f / (2 + f), f = m - 1.
inline double log_from(double f, double s, double e) {
  const double z = s * s;
  const double w = z * z;
  const double t1 =
      multiply_add(w, multiply_add(w, 1.531383769920937332e-01, 2.222219843214978396e-01), 3.999999999940941908e-01);
  const double t2 = multiply_add(
      w, multiply_add(w, multiply_add(w, 1.479819860511658591e-01, 1.818357216161805012e-01), 2.857142874366239149e-01),
      6.666666666666735130e-01);
  const double g = 0.5 * f;
  const double series = multiply_add(g, f, multiply_add(w, t1, z * t2));
  const double rest = multiply_add(g, f, -multiply_add(s, series, e * 1.90821492927058770002e-10));
  return multiply_add(e, 6.93147180369123816490e-01, f - rest);
}

inline double log_of(double x) {
  const Split p = split(x);
  const double f = p.m - 1.0;
  return log_from(f, f / (2.0 + f), p.e);
}

// A software-pipelined logarithm of up to 64 elements: first the range reduction of all, then the polynomial of all. A
// loop over whole logarithms is a dependency chain so long that few elements are in flight.
struct HalfLogs {
  double f[64];
  double s[64];
  double e[64];

  void set(size_t i, double f_of, double s_of, double e_of) {
    f[i] = f_of;
    s[i] = s_of;
    e[i] = e_of;
  }
  double log(size_t i) const { return log_from(f[i], s[i], e[i]); }
};

inline void logs_of(const double* x, size_t n, double* out) {
  HalfLogs half;
  for (size_t begin = 0; begin < n; begin += 64) {
    const size_t size = n - begin < 64 ? n - begin : 64;
    for (size_t i = 0; i < size; ++i) {
      const Split p = split(x[begin + i]);
      const double f = p.m - 1.0;
      half.set(i, f, f / (2.0 + f), p.e);
    }
    for (size_t i = 0; i < size; ++i) out[begin + i] = half.log(i);
  }
}

struct TwoLogs {
  double first;
  double second;
};

inline TwoLogs two_logs(double x, double y) {
  const Split p = split(x);
  const Split q = split(y);
  const double f = p.m - 1.0;
  const double g = q.m - 1.0;
  const double both = 1.0 / ((2.0 + f) * (2.0 + g));
  return {log_from(f, f * (both * (2.0 + g)), p.e), log_from(g, g * (both * (2.0 + f)), q.e)};
}

// c - q p
inline double less(double c, double q, double p) { return multiply_add(-q, p, c); }

// [lgamma(z) - (z - 1/2) log z + z - log(2 pi)/2] / r as a function of q = r^2, r = 1/z, z >= 8 (DLMF 5.11.1)
inline double stirling_series(double q) {
  const double low = less(1.0 / 1188, q, less(691.0 / 360360, q, 1.0 / 156));
  return less(1.0 / 12, q, less(1.0 / 360, q, less(1.0 / 1260, q, less(1.0 / 1680, q, low))));
}

// [log z - digamma(z) - 1/(2z)] / q, z >= 8
inline double digamma_series(double q) {
  const double low = less(1.0 / 132, q, less(691.0 / 32760, q, 1.0 / 12));
  return less(1.0 / 12, q, less(1.0 / 120, q, less(1.0 / 252, q, less(1.0 / 240, q, low))));
}

// The series at 1/r1 minus the series at 1/r0
inline double stirling_difference(double r0, double r1) {
  return multiply_add(r1, stirling_series(r1 * r1), -(r0 * stirling_series(r0 * r0)));
}

// The tail of digamma at 1/r0 minus the tail at 1/r1
inline double digamma_tail_difference(double r0, double r1) {
  const double q0 = r0 * r0;
  const double q1 = r1 * r1;
  return multiply_add(q0, digamma_series(q0), -(q1 * digamma_series(q1)));
}

// z (z+1) ... (z+7), with t = z (z + 7)
inline double eight_factors(double z) {
  const double t = z * (z + 7.0);
  return (t * (t + 6.0)) * ((t + 10.0) * (t + 12.0));
}

// 1/z + ... + 1/(z+7)
inline double eight_reciprocals(double z) {
  const double t = z * (z + 7.0);
  const double low = t * (t + 6.0);
  const double high = (t + 10.0) * (t + 12.0);
  const double slope = multiply_add(multiply_add(2.0, t, 6.0), high, multiply_add(2.0, t, 22.0) * low);
  return multiply_add(2.0, z, 7.0) * slope / (low * high);
}

// Both ends are lifted to 8 or more by eight factors; then the two Stirling series are subtracted term by term.
struct Lifted {
  double z0, z1, d;
  bool low0, low1;
};

inline Lifted lift(double a, double x) {
  const double top = a + x;
  const bool low0 = a < 8.0;
  const bool low1 = top < 8.0;
  return {low0 ? a + 8.0 : a, low1 ? top + 8.0 : top, x - (low0 ? 8.0 : 0.0) + (low1 ? 8.0 : 0.0), low0, low1};
}

// log(z1 / z0) with r0 = 1/z0, r1 = 1/z1: log1p(d/z0), not a log of the rounded quotient
inline double log_quotient(const Lifted& l, double r0, double r1) {
  const double w = multiply_add(l.d, r0, 1.0);
  return multiply_add(multiply_add(l.d, r0, 1.0 - w), l.z0 * r1, log_of(w));
}

inline double log_rising_of(double a, double x) {
  const Lifted l = lift(a, x);
  const double r0 = 1.0 / l.z0;
  const double r1 = 1.0 / l.z1;
  const double p0 = l.low0 ? eight_factors(a) : 1.0;
  const double p1 = l.low1 ? eight_factors(a + x) : 1.0;
  return multiply_add(l.z0 - 0.5, log_quotient(l, r0, r1), l.d * (log_of(l.z1) - 1.0)) + stirling_difference(r0, r1) +
         log_of(p0 / p1);
}

inline double digamma_difference_of(double a, double x) {
  const Lifted l = lift(a, x);
  const double r0 = 1.0 / l.z0;
  const double r1 = 1.0 / l.z1;
  const double s0 = l.low0 ? eight_reciprocals(l.low0 ? a : 1.0) : 0.0;
  const double s1 = l.low1 ? eight_reciprocals(l.low1 ? a + x : 1.0) : 0.0;
  return multiply_add(0.5 * l.d * r0, r1, (s0 - s1) + log_quotient(l, r0, r1)) + digamma_tail_difference(r0, r1);
}
