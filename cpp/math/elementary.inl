// Branch-free logarithm, exponential and sine with cosine, as text: included into a namespace of each translation unit
// that draws random numbers, so that every instruction set and every C library rounds alike. Plain loops over them
// vectorise. Coefficients: Taylor series and the minimax polynomial of log((1+s)/(1-s)) of Sun's fdlibm (1993, freely
// distributable), errors below 1 ulp (log), 2 ulp (exp) and 1e-16 absolute (sine, cosine).

#if defined(__GNUC__)
#define HBM_INLINE static inline __attribute__((always_inline, unused))
#else
#define HBM_INLINE static inline
#endif

#include "math/multiply_add.inl"

HBM_INLINE std::uint64_t bits_of(double x) { return __builtin_bit_cast(std::uint64_t, x); }
HBM_INLINE double double_of(std::uint64_t b) { return __builtin_bit_cast(double, b); }

// The centre of one of 2^52 cells of (0, 1); the same as Stream::uniform.
HBM_INLINE double to_uniform(std::uint64_t word) {
  return double_of((word >> 12) | 0x3FF0000000000000u) - (1.0 - 0x1.0p-53);
}

// The first step of a logarithm: x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)), and s = f / (2 + f).
struct LogParts {
  double k, f, s;
};

// x positive and normal.
HBM_INLINE LogParts log_parts(double x) {
  // the exponent becomes a double through 2^52
  const std::uint64_t b = bits_of(x);
  const std::uint64_t shifted = b - 0x3FE6A09E667F3BCDu + (std::uint64_t{1024} << 52);
  const std::uint64_t e = shifted >> 52;
  const double k = double_of(e | 0x4330000000000000u) - (0x1.0p52 + 1024.0);
  const double m = double_of(b - (e << 52) + (std::uint64_t{1024} << 52));
  const double f = m - 1.0;
  return {k, f, f / (2.0 + f)};
}

HBM_INLINE double log_series(double s) {
  const double z = s * s;
  const double w = z * z;
  const double even =
      multiply_add(w, multiply_add(w, 1.531383769920937332e-01, 2.222219843214978396e-01), 3.999999999940941908e-01);
  const double odd = multiply_add(
      w, multiply_add(w, multiply_add(w, 1.479819860511658591e-01, 1.818357216161805012e-01), 2.857142874366239149e-01),
      6.666666666666735130e-01);
  return multiply_add(w, even, z * odd);
}

HBM_INLINE double log_of_parts(double k, double f, double s, double series) {
  const double half = 0.5 * f;
  const double correction = multiply_add(s, multiply_add(half, f, series), k * 1.90821492927058770002e-10);
  return multiply_add(k, 6.93147180369123816490e-01, f - multiply_add(half, f, -correction));
}

HBM_INLINE double log_of(double x) {
  const LogParts parts = log_parts(x);
  return log_of_parts(parts.k, parts.f, parts.s, log_series(parts.s));
}

// Logarithms of at most `most` positive, normal numbers, step by step: a loop over whole ones is a dependency chain
// so long that few elements are in flight. The results may replace x.
template <std::size_t most>
HBM_INLINE void logs_of(const double* x, std::size_t n, double* log_x) {
  alignas(64) double k[most];
  alignas(64) double f[most];
  alignas(64) double s[most];
  alignas(64) double series[most];
#pragma GCC unroll 1
  for (std::size_t i = 0; i < n; ++i) {
    const LogParts parts = log_parts(x[i]);
    k[i] = parts.k;
    f[i] = parts.f;
    s[i] = parts.s;
  }
  for (std::size_t i = 0; i < n; ++i) series[i] = log_series(s[i]);
  for (std::size_t i = 0; i < n; ++i) log_x[i] = log_of_parts(k[i], f[i], s[i], series[i]);
}

// log(1 + x), x > -1, without losing a small x.
HBM_INLINE double log1p_of(double x) {
  const double y = 1.0 + x;
  return log_of(y) + (x - (y - 1.0)) / y;
}

// The first step of an exponential: exp(x) = scale exp(r), |r| <= log(2)/2.
struct ExpParts {
  double r, scale;
};

// x <= 709; below -708 the result is 0.
HBM_INLINE ExpParts exp_parts(double x) {
  const double clamped = x < -708.0 ? -708.0 : x;
  const double shifted =
      multiply_add(clamped, 1.4426950408889634074, 0x1.8p52);  // the nearest integer, in the low bits
  const double k = shifted - 0x1.8p52;
  const double r = multiply_add(-k, 1.90821492927058770002e-10, multiply_add(-k, 6.93147180369123816490e-01, clamped));
  const double scale = double_of((bits_of(shifted) << 52) + 0x3FF0000000000000u);
  return {r, x < -708.0 ? 0.0 : scale};
}

HBM_INLINE double exp_of_parts(double r, double scale) {
  const double r2 = r * r;
  const double r4 = r2 * r2;
  const double low = multiply_add(r2, multiply_add(r, 1.0 / 6, 0.5), 1.0 + r);
  const double middle = multiply_add(r2, multiply_add(r, 1.0 / 5040, 1.0 / 720), multiply_add(r, 1.0 / 120, 1.0 / 24));
  const double high = multiply_add(r2, multiply_add(r, multiply_add(r, 1.0 / 479001600, 1.0 / 39916800), 1.0 / 3628800),
                                   multiply_add(r, 1.0 / 362880, 1.0 / 40320));
  return multiply_add(r4, multiply_add(r4, high, middle), low) * scale;
}

HBM_INLINE double exp_of(double x) {
  const ExpParts parts = exp_parts(x);
  return exp_of_parts(parts.r, parts.scale);
}

// Exponentials of at most `most` numbers that exp_of takes, step by step like logs_of.
template <std::size_t most>
HBM_INLINE void exps_of(const double* x, std::size_t n, double* exp_x) {
  alignas(64) double r[most];
  alignas(64) double scale[most];
  for (std::size_t i = 0; i < n; ++i) {
    const ExpParts parts = exp_parts(x[i]);
    r[i] = parts.r;
    scale[i] = parts.scale;
  }
  for (std::size_t i = 0; i < n; ++i) exp_x[i] = exp_of_parts(r[i], scale[i]);
}

// sine and cosine of 2 pi u, u in [0, 1]
HBM_INLINE void sin_cos_turn(double u, double& sine, double& cosine) {
  const double shifted = 4.0 * u + 0x1.8p52;
  const std::uint64_t quadrant = bits_of(shifted);
  const double x = (4.0 * u - (shifted - 0x1.8p52)) * 1.57079632679489661923;
  const double z = x * x;
  const double s =
      x + x * z *
              (-1.0 / 6 +
               z * (1.0 / 120 + z * (-1.0 / 5040 +
                                     z * (1.0 / 362880 + z * (-1.0 / 39916800 + z * (1.0 / 6227020800.0 -
                                                                                     z * (1.0 / 1307674368000.0)))))));
  const double c =
      1.0 - 0.5 * z +
      z * z *
          (1.0 / 24 +
           z * (-1.0 / 720 +
                z * (1.0 / 40320 + z * (-1.0 / 3628800 + z * (1.0 / 479001600 + z * (-1.0 / 87178291200.0 +
                                                                                     z * (1.0 / 20922789888000.0)))))));
  const bool odd = (quadrant & 1) != 0;
  const std::uint64_t sine_sign = (quadrant & 2) << 62;
  const std::uint64_t cosine_sign = ((quadrant + 1) & 2) << 62;
  sine = double_of(bits_of(odd ? c : s) ^ sine_sign);
  cosine = double_of(bits_of(odd ? s : c) ^ cosine_sign);
}
