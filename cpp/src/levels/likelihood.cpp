// Plain loops that the compiler vectorises. Blocks of 64: shorter inner loops would be unrolled before vectorisation
// and stay scalar. No standard-library templates in this file: its objects are compiled for different CPUs.
#include "likelihood_kernels.hpp"

#include <cstdint>

namespace hbm_fast {
namespace HBM_LEVEL {
namespace {

using std::size_t;
using std::uint32_t;
using std::uint64_t;

#include "log_rising.inl"

inline double as_double(uint64_t n) { return double_of(n | 0x4330000000000000ULL) - 4503599627370496.0; }

#include "read_rows.inl"
#include "rising_products.inl"

// log z and 1/z with one division
struct LogAndReciprocal {
  double log;
  double reciprocal;
};

inline LogAndReciprocal log_and_reciprocal(double z) {
  const Split p = split(z);
  const double f = p.m - 1.0;
  const double both = 1.0 / (z * (2.0 + f));
  return {log_from(f, f * (z * both), p.e), (2.0 + f) * both};
}

// Term j of the sums over a table goes to the running sum j % 4, and the four are added in pairs: the order that one
// concentration and 64 at once share on every machine, so that a batch never changes a value.
void table(const double* c, size_t n, double a, double* value, double* slope) {
  constexpr size_t block = 64;
  double logs[block], reciprocals[block];
  double sum[4] = {};
  double derivative[4] = {};
  for (size_t begin = 0; begin < n; begin += block) {
    const size_t size = n - begin < block ? n - begin : block;
    for (size_t j = 0; j < size; ++j) {
      const LogAndReciprocal of = log_and_reciprocal(a + as_double(begin + j));
      logs[j] = of.log;
      reciprocals[j] = of.reciprocal;
    }
    const double* const weight = c + begin;
    const size_t whole = size & ~size_t{3};
    for (size_t j = 0; j < whole; j += 4) {
      for (size_t l = 0; l < 4; ++l) sum[l] = multiply_add(weight[j + l], logs[j + l], sum[l]);
      for (size_t l = 0; l < 4; ++l) derivative[l] = multiply_add(weight[j + l], reciprocals[j + l], derivative[l]);
    }
    for (size_t l = 0; l < size - whole; ++l) {
      sum[l] = multiply_add(weight[whole + l], logs[whole + l], sum[l]);
      derivative[l] = multiply_add(weight[whole + l], reciprocals[whole + l], derivative[l]);
    }
  }
  *value = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  *slope = (derivative[0] + derivative[1]) + (derivative[2] + derivative[3]);
}

// A function of its own: otherwise the compiler exchanges the two loops, and the inner one stays scalar.
__attribute__((noinline)) void add_level(double weight, double level, const double* __restrict a, double* __restrict value,
                                         double* __restrict slope) {
  for (int i = 0; i < 64; ++i) {
    const LogAndReciprocal of = log_and_reciprocal(a[i] + level);
    value[i] = multiply_add(weight, of.log, value[i]);
    slope[i] = multiply_add(weight, of.reciprocal, slope[i]);
  }
}

void tables(const double* c, size_t n, const double* a, double* __restrict value, double* __restrict slope) {
  double sum[4][64] = {};
  double derivative[4][64] = {};
  for (size_t j = 0; j < n; ++j) add_level(c[j], as_double(j), a, sum[j & 3], derivative[j & 3]);
  for (int i = 0; i < 64; ++i) value[i] = (sum[0][i] + sum[1][i]) + (sum[2][i] + sum[3][i]);
  for (int i = 0; i < 64; ++i) slope[i] = (derivative[0][i] + derivative[1][i]) + (derivative[2][i] + derivative[3][i]);
}

void pairs(const double* x, const double* w, size_t n, double a, double* value, double* slope) {
  double sum = 0.0;
  double derivative = 0.0;
#pragma omp simd reduction(+ : sum, derivative)
  for (size_t i = 0; i < n; ++i) {
    const Lifted l = lift(a, x[i]);
    const double r0 = 1.0 / l.z0;
    const double r1 = 1.0 / l.z1;
    const double p0 = l.low0 ? eight_factors(a) : 1.0;
    const double p1 = l.low1 ? eight_factors(a + x[i]) : 1.0;
    const double s0 = l.low0 ? eight_reciprocals(l.low0 ? a : 1.0) : 0.0;
    const double s1 = l.low1 ? eight_reciprocals(l.low1 ? a + x[i] : 1.0) : 0.0;
    const double q = log_quotient(l, r0, r1);
    sum += w[i] * (l.d * (log_of(l.z1) - 1.0) + (l.z0 - 0.5) * q + (stirling_tail(r1) - stirling_tail(r0)) + log_of(p0 / p1));
    derivative += w[i] * ((s0 - s1) + q + 0.5 * l.d * r0 * r1 + (digamma_tail(r0) - digamma_tail(r1)));
  }
  *value = sum;
  *slope = derivative;
}

void log_rising(const double* __restrict a, const double* __restrict x, size_t n, double* __restrict out) {
  for (size_t i = 0; i < n; ++i) out[i] = log_rising_of(a[i], x[i]);
}

inline bool product_fits(double a, double x) { return (x < 32.0) & (a <= largest_short_product); }

// The elements that products of up to 31 factors cannot do: where they are, and their values side by side. Returns how many.
inline size_t gather_beyond(const double* __restrict a, const double* __restrict x, size_t n, size_t* __restrict where,
                            double* __restrict a_out, double* __restrict x_out) {
  size_t m = 0;
  for (size_t i = 0; i < n; ++i) {
    where[m] = i;
    m += product_fits(a[i], x[i]) ? 0 : 1;
  }
  for (size_t i = 0; i < m; ++i) {
    a_out[i] = a[where[i]];
    x_out[i] = x[where[i]];
  }
  return m;
}

// Counts below 32, which most are; then the others.
void digamma_difference(const double* __restrict a, const double* __restrict x, size_t n, double* __restrict out) {
  constexpr size_t block = 512;
  size_t where[block];
  double a_of[block], x_of[block], value[block];
  for (size_t begin = 0; begin < n; begin += block) {
    const size_t size = n - begin < block ? n - begin : block;
    const double* const ab = a + begin;
    const double* const xb = x + begin;
    double* const ob = out + begin;
    const size_t m = gather_beyond(ab, xb, size, where, a_of, x_of);
    if (m < size) {
      for (size_t i = 0; i < size; ++i) {
        const bool fits = product_fits(ab[i], xb[i]);
        ob[i] = reciprocals_below_32(fits ? ab[i] : 1.0, as_whole(fits ? xb[i] : 0.0));
      }
    }
    for (size_t i = 0; i < m; ++i) value[i] = digamma_difference_of(a_of[i], x_of[i]);
    for (size_t i = 0; i < m; ++i) ob[where[i]] = value[i];
  }
}

inline double log_gamma_of(double a) {
  const bool low = a < 8.0;
  const double z = low ? a + 8.0 : a;
  const TwoLogs logs = two_logs(z, low ? eight_factors(a) : 1.0);
  return (z - 0.5) * logs.first - z + 0.91893853320467274178 + stirling_tail(1.0 / z) - logs.second;
}

// log(a (a+1) ... (a+x-1) / x!) where the larger of a and x + 1 is at least 16. It is symmetric in the two:
// [lgamma(large + small - 1) - lgamma(large)] - lgamma(small), whose parts are hardly larger than what they leave.
inline double log_choose_of(double large, double small, double log_gamma) {
  const double d = small - 1.0;
  const double top = large + d;
  const double both = 1.0 / (large * top);
  const double r0 = both * top;
  const double r1 = both * large;
  const double u = d * r0;
  const double w = 1.0 + u;
  const TwoLogs logs = two_logs(top, w);
  const double quotient = logs.second + (u - (w - 1.0)) * (large * r1);
  return d * (logs.first - 1.0) + (large - 0.5) * quotient + (stirling_tail(r1) - stirling_tail(r0)) - log_gamma;
}

void log_choose_known(const double* __restrict a, const double* __restrict x, const double* __restrict log_gamma, size_t n,
                      double* __restrict out) {
  for (size_t i = 0; i < n; ++i) {
    const double b = x[i] + 1.0;
    out[i] = log_choose_of(a[i] > b ? a[i] : b, a[i] > b ? b : a[i], log_gamma[i]);
  }
}

void log_rising_table(const double* __restrict a, size_t n, const double* __restrict w, size_t n_counts, size_t stride,
                      double* __restrict out) {
  constexpr size_t block = 64;
  double at[block], product[block], logs[block];
  for (size_t begin = 0; begin < n; begin += block) {
    const size_t size = n - begin < block ? n - begin : block;
    for (size_t i = 0; i < block; ++i) at[i] = i < size ? a[begin + i] : 1.0;
    for (size_t i = 0; i < block; ++i) product[i] = 1.0;
    for (size_t x = 1; x < n_counts; ++x) {
      const double below = as_double(x - 1);
      for (size_t i = 0; i < block; ++i) product[i] *= at[i] + below;
      for (size_t i = 0; i < block; ++i) logs[i] = log_of(product[i] * w[x]);
      for (size_t i = 0; i < size; ++i) out[(begin + i) * stride + x] = logs[i];
    }
  }
}

void log_gamma(const double* __restrict a, size_t n, double* __restrict out) {
  for (size_t i = 0; i < n; ++i) out[i] = log_gamma_of(a[i]);
}

// Products for counts below 32, which most are; then the others.
void log_choose(const double* __restrict a, const double* __restrict x, size_t n, const double* __restrict inverse_factorials,
                double* __restrict out) {
  constexpr size_t block = 512;
  size_t where[block];
  double a_of[block], x_of[block], log_gammas[block], value[block];
  for (size_t begin = 0; begin < n; begin += block) {
    const size_t size = n - begin < block ? n - begin : block;
    const double* const ab = a + begin;
    const double* const xb = x + begin;
    double* const ob = out + begin;
    const size_t m = gather_beyond(ab, xb, size, where, a_of, x_of);
    if (m < size) {
      for (size_t i = 0; i < size; ++i) {
        const bool fits = product_fits(ab[i], xb[i]);
        const uint64_t whole = as_whole(fits ? xb[i] : 0.0);
        ob[i] = rising_of(fits ? ab[i] : 1.0, whole) * inverse_factorials[whole];
      }
      for (size_t i = 0; i < size; ++i) ob[i] = log_of(ob[i]);
    }
    for (size_t i = 0; i < m; ++i) log_gammas[i] = log_gamma_of(a_of[i] < x_of[i] + 1.0 ? a_of[i] : x_of[i] + 1.0);
    log_choose_known(a_of, x_of, log_gammas, m, value);
    for (size_t i = 0; i < m; ++i) ob[where[i]] = value[i];
  }
}

void log1p_each(const double* __restrict x, size_t n, double* __restrict out) {
  for (size_t i = 0; i < n; ++i) {
    const double w = 1.0 + x[i];
    const double value = log_of(w) + (x[i] - (w - 1.0)) / w;
    out[i] = x[i] < 1e-8 ? x[i] - 0.5 * x[i] * x[i] : value;
  }
}

}  // namespace

extern const LikelihoodKernels likelihood_kernels;
const LikelihoodKernels likelihood_kernels{
    table, tables, pairs, log_rising, digamma_difference, log_choose, log_choose_known, log_rising_table, log_gamma,
    {load_pairs<std::int8_t>, load_pairs<std::uint8_t>, load_pairs<std::int16_t>, load_pairs<std::uint16_t>,
     load_pairs<std::int32_t>, load_pairs<std::uint32_t>, load_pairs<std::int64_t>, load_pairs<std::uint64_t>},
    two_categories, one_category, log1p_each,
    {positive<std::int8_t>, positive<std::uint8_t>, positive<std::int16_t>, positive<std::uint16_t>,
     positive<std::int32_t>, positive<std::uint32_t>, positive<std::int64_t>, positive<std::uint64_t>},
    look_up, row_sums,
    {gather<std::int8_t>, gather<std::uint8_t>, gather<std::int16_t>, gather<std::uint16_t>,
     gather<std::int32_t>, gather<std::uint32_t>, gather<std::int64_t>, gather<std::uint64_t>}};

}  // namespace HBM_LEVEL
}  // namespace hbm_fast
