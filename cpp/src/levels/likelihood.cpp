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

void digamma_difference(const double* __restrict a, const double* __restrict x, size_t n, double* __restrict out) {
  for (size_t i = 0; i < n; ++i) out[i] = digamma_difference_of(a[i], x[i]);
}

// z (z+1) ... (z+15), with t = z (z + 15)
inline double sixteen_factors(double z) {
  const double t = z * (z + 15.0);
  return ((t * (t + 14.0)) * ((t + 26.0) * (t + 36.0))) * (((t + 44.0) * (t + 50.0)) * ((t + 54.0) * (t + 56.0)));
}

inline uint64_t as_whole(double x) { return bits_of(x + 4503599627370496.0) & 0x000fffffffffffffULL; }

// a (a+1) ... (a+n-1) for n < 32: a run of 1, 2, 4, 8 and 16 factors for each bit of n, each starting after the runs
// below it. No logarithm, no division.
struct Rising {
  double product;  // without the run of 16
  double last;     // where that one starts
};

inline Rising short_rising_of(double a, uint64_t n) {
  const double z2 = a + ((n & 1) != 0 ? 1.0 : 0.0);
  const double z4 = z2 + ((n & 2) != 0 ? 2.0 : 0.0);
  const double z8 = z4 + ((n & 4) != 0 ? 4.0 : 0.0);
  const double z16 = z8 + ((n & 8) != 0 ? 8.0 : 0.0);
  const double one = (n & 1) != 0 ? a : 1.0;
  const double two = (n & 2) != 0 ? z2 * (z2 + 1.0) : 1.0;
  const double t = z4 * (z4 + 3.0);
  const double four = (n & 4) != 0 ? t * (t + 2.0) : 1.0;
  const double eight = (n & 8) != 0 ? eight_factors(z8) : 1.0;
  return {(one * two) * (four * eight), z16};
}

inline double rising_of(double a, uint64_t n) {
  const Rising low = short_rising_of(a, n);
  return low.product * ((n & 16) != 0 ? sixteen_factors(low.last) : 1.0);
}

// The product of two of them, x + y < 32: one run of 16 at most
inline double two_risings_of(double a, uint64_t x, double b, uint64_t y) {
  const Rising of_a = short_rising_of(a, x);
  const Rising of_b = short_rising_of(b, y);
  const double sixteen = sixteen_factors((x & 16) != 0 ? of_a.last : of_b.last);
  return (of_a.product * of_b.product) * (((x | y) & 16) != 0 ? sixteen : 1.0);
}

// The same for n < 64
inline double long_rising_of(double a, uint64_t n) {
  const double last = a + as_double(n & 31);
  return rising_of(a, n) * ((n & 32) != 0 ? sixteen_factors(last) * sixteen_factors(last + 16.0) : 1.0);
}

// What the loops over bits can do: products that neither overflow nor vanish.
inline bool products_hold(double sum, uint64_t total) {
  const bool few = ((total >> 5) == 0) & (sum <= largest_short_product);
  const bool many = ((total >> 6) == 0) & (sum <= largest_long_product);
  return few | many;  // no short cuts: a branch would keep the loop scalar
}

template <class T>
void load_pairs(const void* counts, std::ptrdiff_t row, std::ptrdiff_t category, const double* a, std::ptrdiff_t a_row,
                std::ptrdiff_t a_category, int n, Pairs* pairs) {
  const T* x = static_cast<const T*>(counts);
  Pairs& p = *pairs;
  if (row == 2 && category == 1) {
    for (int i = 0; i < n; ++i) {
      p.x[i] = static_cast<uint64_t>(x[2 * i]);
      p.y[i] = static_cast<uint64_t>(x[2 * i + 1]);
    }
  } else {
    for (int i = 0; i < n; ++i) {
      p.x[i] = static_cast<uint64_t>(x[i * row]);
      p.y[i] = static_cast<uint64_t>(x[i * row + category]);
    }
  }
  if (a_row == 2 && a_category == 1) {
    for (int i = 0; i < n; ++i) {
      p.a[i] = a[2 * i];
      p.b[i] = a[2 * i + 1];
    }
  } else {
    for (int i = 0; i < n; ++i) {
      p.a[i] = a[i * a_row];
      p.b[i] = a[i * a_row + a_category];
    }
  }
  for (int i = n; i < 64; ++i) {
    p.x[i] = p.y[i] = 0;
    p.a[i] = p.b[i] = 1.0;
  }
}

// out_i = a_i (a_i+1) ... (a_i+n-1) of 64 lanes with the same n: only the runs that n has
void same_rising(const double* __restrict a, uint64_t n, double* __restrict out) {
  for (int i = 0; i < 64; ++i) out[i] = (n & 1) != 0 ? a[i] : 1.0;
  double from = (n & 1) != 0 ? 1.0 : 0.0;
  if ((n & 2) != 0) {
    for (int i = 0; i < 64; ++i) out[i] *= (a[i] + from) * (a[i] + (from + 1.0));
    from += 2.0;
  }
  if ((n & 4) != 0) {
    for (int i = 0; i < 64; ++i) {
      const double t = (a[i] + from) * (a[i] + (from + 3.0));
      out[i] *= t * (t + 2.0);
    }
    from += 4.0;
  }
  if ((n & 8) != 0) {
    for (int i = 0; i < 64; ++i) out[i] *= eight_factors(a[i] + from);
    from += 8.0;
  }
  for (; n >= 16; n -= 16, from += 16.0) {
    for (int i = 0; i < 64; ++i) out[i] *= sixteen_factors(a[i] + from);
  }
}

// A row that the products cannot do has pmf 0; what the loops make of it stays in its lane.
uint64_t two_categories(const Pairs* pairs, const double* choose, double* __restrict pmf, double* __restrict log_pmf) {
  const Pairs& p = *pairs;
  double sum[64], divisor[64];
  uint64_t total[64];
  uint64_t differ = 0;
  uint64_t any = 0;
  for (int i = 0; i < 64; ++i) {
    sum[i] = p.a[i] + p.b[i];
    total[i] = p.x[i] + p.y[i];
    differ |= total[i] ^ (p.x[0] + p.y[0]);
    any |= total[i];
  }
  if (differ == 0 && total[0] < 64) {
    same_rising(sum, total[0], divisor);
  } else if (any < 32) {
    for (int i = 0; i < 64; ++i) divisor[i] = rising_of(sum[i], total[i]);
  } else {
    for (int i = 0; i < 64; ++i) divisor[i] = long_rising_of(sum[i], total[i]);
  }
  if (any < 32) {
    for (int i = 0; i < 64; ++i) pmf[i] = two_risings_of(p.a[i], p.x[i], p.b[i], p.y[i]);
  } else {
    for (int i = 0; i < 64; ++i) pmf[i] = rising_of(p.a[i], p.x[i]) * rising_of(p.b[i], p.y[i]);
  }
  for (int i = 0; i < 64; ++i) pmf[i] *= choose[(total[i] & 63) * 32 + (p.x[i] & 31)] / divisor[i];
  for (int i = 0; i < 64; ++i) {
    const double smallest = p.a[i] < p.b[i] ? p.a[i] : p.b[i];
    const bool fits = (((p.x[i] | p.y[i]) >> 5) == 0) & (smallest >= smallest_vector_concentration) & products_hold(sum[i], total[i]);
    pmf[i] = fits ? pmf[i] : 0.0;
    log_pmf[i] = log_of(pmf[i]);
  }
  uint64_t to_do[64];  // in two loops, which are both vectorised
  for (int i = 0; i < 64; ++i) {
    const bool done = (pmf[i] > 1e-280) & (pmf[i] < almost_one);
    to_do[i] = done ? 0 : 1;
  }
  uint64_t rest = 0;
  for (uint64_t i = 0; i < 64; ++i) rest |= to_do[i] << i;
  return rest;
}

// One run of factors of prod (z_j + r) / z_j: their product f, and how much more the product of the f + r is, without
// a difference. `then` appends a run to all before it.
struct Run {
  double f;
  double more;
};

inline Run then(Run p, Run q) { return {p.f * q.f, p.more * (q.f + q.more) + p.f * q.more}; }
inline Run unless(bool on, Run p) { return {on ? p.f : 1.0, on ? p.more : 0.0}; }

// 2 m factors from z: products of pairs t + c
inline Run run_of_two(double z, double r) { return {z * (z + 1.0), r * (2.0 * z + (r + 1.0))}; }
inline Run pair_of(double t, double d, double c) { return {t + c, d}; }
inline Run run_of_four(double z, double r) {
  const double t = z * (z + 3.0);
  const double d = r * (2.0 * z + (r + 3.0));
  return then(pair_of(t, d, 0.0), pair_of(t, d, 2.0));
}
inline Run run_of_eight(double z, double r) {
  const double t = z * (z + 7.0);
  const double d = r * (2.0 * z + (r + 7.0));
  return then(then(pair_of(t, d, 0.0), pair_of(t, d, 6.0)), then(pair_of(t, d, 10.0), pair_of(t, d, 12.0)));
}

inline Run run_of_sixteen(double z, double r) { return then(run_of_eight(z, r), run_of_eight(z + 8.0, r)); }

inline Run run_below_32(double z, double r, uint64_t n) {
  const Run low = then(unless((n & 1) != 0, {z, r}), unless((n & 2) != 0, run_of_two(z + as_double(n & 1), r)));
  const Run four = unless((n & 4) != 0, run_of_four(z + as_double(n & 3), r));
  const Run eight = unless((n & 8) != 0, run_of_eight(z + as_double(n & 7), r));
  return then(then(low, four), then(eight, unless((n & 16) != 0, run_of_sixteen(z + as_double(n & 15), r))));
}

void one_category(const double* __restrict a, const double* __restrict r, const double* __restrict total, double* __restrict out) {
  double largest = 0.0;
  for (int i = 0; i < 64; ++i) largest = total[i] > largest ? total[i] : largest;
  if (largest < 32.0) {
    for (int i = 0; i < 64; ++i) {
      const Run all = run_below_32(a[i], r[i], as_whole(total[i]));
      out[i] = all.more / all.f;
    }
    return;
  }
  for (int i = 0; i < 64; ++i) {
    const uint64_t n = as_whole(total[i]);
    const double last = a[i] + as_double(n & 31);
    const Run rest = unless((n & 32) != 0, then(run_of_sixteen(last, r[i]), run_of_sixteen(last + 16.0, r[i])));
    const Run all = then(run_below_32(a[i], r[i], n), rest);
    out[i] = all.more / all.f;
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
    size_t m = 0;
    for (size_t i = 0; i < size; ++i) {
      where[m] = i;
      m += ((xb[i] < 32.0) & (ab[i] <= largest_short_product)) ? 0 : 1;
    }
    if (m < size) {
      for (size_t i = 0; i < size; ++i) {
        const bool fits = (xb[i] < 32.0) & (ab[i] <= largest_short_product);
        const uint64_t whole = as_whole(fits ? xb[i] : 0.0);
        ob[i] = rising_of(fits ? ab[i] : 1.0, whole) * inverse_factorials[whole];
      }
      for (size_t i = 0; i < size; ++i) ob[i] = log_of(ob[i]);
    }
    for (size_t i = 0; i < m; ++i) {
      a_of[i] = ab[where[i]];
      x_of[i] = xb[where[i]];
    }
    for (size_t i = 0; i < m; ++i) log_gammas[i] = log_gamma_of(a_of[i] < x_of[i] + 1.0 ? a_of[i] : x_of[i] + 1.0);
    log_choose_known(a_of, x_of, log_gammas, m, value);
    for (size_t i = 0; i < m; ++i) ob[where[i]] = value[i];
  }
}

template <class T>
__attribute__((always_inline)) inline T any_of_sixteen(const T* x) {
  T some = 0;
#pragma omp simd reduction(| : some)
  for (size_t i = 0; i < 16; ++i) some = static_cast<T>(some | x[i]);
  return some;
}

// Where a row of counts is not zero, and the counts there; zeros are passed sixteen at a time.
template <class T>
size_t positive(const void* counts, size_t n_categories, uint32_t* __restrict where, uint64_t* __restrict value) {
  const T* x = static_cast<const T*>(counts);
  size_t n = 0;
  const auto take = [&](size_t k) {  // without a branch: a zero is overwritten by the next
    where[n] = static_cast<uint32_t>(k);
    value[n] = static_cast<uint64_t>(x[k]);
    n += x[k] != 0;
  };
  size_t k = 0;
  for (; k + 16 <= n_categories; k += 16) {
    if (any_of_sixteen(x + k) == 0) continue;
    for (size_t i = k; i < k + 16; ++i) take(i);
  }
  for (; k < n_categories; ++k) take(k);
  return n;
}

size_t look_up(const uint32_t* __restrict where, const uint64_t* __restrict value, size_t n, const double* __restrict table,
               unsigned log_width, double* __restrict terms, uint32_t* __restrict beyond) {
  constexpr size_t block = 64;
  uint64_t at[block];
  size_t n_beyond = 0;
  for (size_t begin = 0; begin < n; begin += block) {
    const size_t size = n - begin < block ? n - begin : block;
    const uint32_t* const k = where + begin;
    const uint64_t* const x = value + begin;
    for (size_t i = 0; i < size; ++i) at[i] = (uint64_t{k[i]} << log_width) | ((x[i] >> log_width) == 0 ? x[i] : 0);
    for (size_t i = 0; i < size; ++i) terms[begin + i] = table[at[i]];
    for (size_t i = 0; i < size; ++i) {  // without a branch: what the table holds is overwritten by the next
      beyond[n_beyond] = static_cast<uint32_t>(begin + i);
      n_beyond += (x[i] >> log_width) != 0;
    }
  }
  return n_beyond;
}

void row_sums(const double* terms, const uint64_t* counts, const size_t* first, size_t n_rows, double* __restrict sum,
              double* __restrict absolute, uint64_t* __restrict total, uint64_t* __restrict any) {
  for (size_t r = 0; r < n_rows; ++r) {
    double s[4] = {};
    double t[4] = {};
    uint64_t n[4] = {};
    uint64_t bits[4] = {};
    const auto add = [&](size_t i, size_t l) {
      s[l] += terms[i];
      t[l] += __builtin_fabs(terms[i]);
      n[l] += counts[i];
      bits[l] |= counts[i];
    };
    size_t i = first[r];
    for (; i + 4 <= first[r + 1]; i += 4) {
      for (size_t l = 0; l < 4; ++l) add(i + l, l);
    }
    for (size_t l = 0; i < first[r + 1]; ++i, ++l) add(i, l);
    sum[r] = (s[0] + s[1]) + (s[2] + s[3]);
    absolute[r] = (t[0] + t[1]) + (t[2] + t[3]);
    total[r] = (n[0] + n[1]) + (n[2] + n[3]);
    any[r] = (bits[0] | bits[1]) | (bits[2] | bits[3]);
  }
}

// The non-zero ones of a row of counts with their concentrations; zeros are passed sixteen at a time.
template <class T>
size_t gather(const void* counts, const double* a, std::ptrdiff_t a_stride, size_t n_categories, double* __restrict x_out,
              double* __restrict a_out, uint64_t* total) {
  const T* x = static_cast<const T*>(counts);
  size_t n = 0;
  uint64_t any = 0;
  const auto take = [&](size_t k) {  // without a branch: a zero is overwritten by the next
    x_out[n] = static_cast<double>(x[k]);
    a_out[n] = a[static_cast<std::ptrdiff_t>(k) * a_stride];
    n += x[k] != 0;
  };
  if (n_categories < 16) {  // too few for their sum to wrap before `any` tells
    uint64_t sum = 0;
    for (size_t k = 0; k < n_categories; ++k) {
      any |= static_cast<uint64_t>(x[k]);
      sum += static_cast<uint64_t>(x[k]);
      take(k);
    }
    *total = any > largest_row_total ? any : sum;
    return *total > largest_row_total ? 0 : n;
  }
  size_t k = 0;
  for (; k + 16 <= n_categories; k += 16) {
    const T some = any_of_sixteen(x + k);
    if (some == 0) continue;
    any |= static_cast<uint64_t>(some);
    for (size_t i = k; i < k + 16; ++i) take(i);
  }
  for (; k < n_categories; ++k) {
    any |= static_cast<uint64_t>(x[k]);
    take(k);
  }
  if (static_cast<T>(-1) < static_cast<T>(1) && (any >> 63) != 0) {  // a negative one
    *total = ~uint64_t{0};
    return 0;
  }
  double sum = 0.0;
#pragma omp simd reduction(+ : sum)
  for (size_t i = 0; i < n; ++i) sum += x_out[i];
  uint64_t exact = largest_row_total + 1;
  if (sum < 9007199254740992.0) {
    exact = static_cast<uint64_t>(sum);
  } else if (sum < 9007199254740996.0) {  // doubles skip integers here
    exact = 0;
    for (size_t i = 0; i < n; ++i) exact += static_cast<uint64_t>(x_out[i]);
  }
  *total = exact;
  return n;
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
