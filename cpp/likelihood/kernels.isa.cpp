// Plain loops that the compiler vectorises. Blocks of 64: shorter inner loops would be unrolled before vectorisation
// and stay scalar. No standard-library templates in this file: its objects are compiled for different CPUs.
#include "likelihood/kernels.hpp"

#include <cstdint>

#define HBM_FUSE_PRODUCTS

namespace hbm_fast {
namespace HBM_LEVEL {
namespace {

using std::size_t;
using std::uint32_t;
using std::uint64_t;

#include "likelihood/log_rising.inl"

inline double as_double(uint64_t n) { return double_of(n | 0x4330000000000000ULL) - 4503599627370496.0; }

#include "likelihood/read_rows.inl"
#include "likelihood/rising_products.inl"
#include "statistics/sums.inl"

void log_rising(const double* __restrict a, const double* __restrict x, size_t n, double* __restrict out) {
  for (size_t i = 0; i < n; ++i) out[i] = log_rising_of(a[i], x[i]);
}

inline bool product_fits(double a, double x) { return (x < 32.0) & (a <= largest_short_product); }

// Elements that log_choose and digamma_difference take at once: few enough for less than 16 KiB of stack, which is what
// glibc leaves in place of a thread's that ends. More would be given back and faulted in again by every call's thread.
constexpr size_t long_block = 128;

// The elements, long_block at most, that products of up to 31 factors cannot do: where they are, and their values side
// by side. Returns how many.
inline size_t gather_beyond(const double* __restrict a, const double* __restrict x, size_t n, size_t* __restrict where,
                            double* __restrict a_out, double* __restrict x_out) {
  uint64_t is_beyond[long_block];  // a loop of its own, which is vectorised
  for (size_t i = 0; i < n; ++i) is_beyond[i] = product_fits(a[i], x[i]) ? 0 : 1;
  size_t m = 0;
  for (size_t i = 0; i < n; ++i) {
    where[m] = i;
    m += is_beyond[i];
  }
  for (size_t i = 0; i < m; ++i) {
    a_out[i] = a[where[i]];
    x_out[i] = x[where[i]];
  }
  return m;
}

// Counts below 32, which most are; then the others.
void digamma_difference(const double* __restrict a, const double* __restrict x, size_t n, double* __restrict out) {
  size_t where[long_block];
  double a_of[long_block], x_of[long_block], value[long_block];
  for (size_t begin = 0; begin < n; begin += long_block) {
    const size_t size = n - begin < long_block ? n - begin : long_block;
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
  const double r = 1.0 / z;
  return multiply_add(r, stirling_series(r * r), multiply_add(z - 0.5, logs.first, -z) + half_log_two_pi) - logs.second;
}

// log(a (a+1) ... (a+x-1) / x!) where the larger of a and x + 1 is at least 16. It is symmetric in the two:
// [lgamma(large + small - 1) - lgamma(large)] - lgamma(small), whose parts are hardly larger than what they leave.
inline double log_choose_of(double large, double small, double log_gamma) {
  const double d = small - 1.0;
  const double top = large + d;
  const double both = 1.0 / (large * top);
  const double r0 = both * top;
  const double r1 = both * large;
  const double w = multiply_add(d, r0, 1.0);
  const TwoLogs logs = two_logs(top, w);
  const double quotient = multiply_add(multiply_add(d, r0, 1.0 - w), large * r1, logs.second);
  return multiply_add(large - 0.5, quotient, d * (logs.first - 1.0)) + stirling_difference(r0, r1) - log_gamma;
}

void log_choose_known(const double* __restrict a, const double* __restrict x, const double* __restrict log_gamma,
                      size_t n, double* __restrict out) {
  for (size_t i = 0; i < n; ++i) {
    const double b = x[i] + 1.0;
    out[i] = log_choose_of(a[i] > b ? a[i] : b, a[i] > b ? b : a[i], log_gamma[i]);
  }
}

// log(Gamma(x + a) / Gamma(x + 1)) about w = x + a/2, where the expansion has even powers of 1/w alone (Fields 1966;
// DLMF 5.11.14): (a - 1) log w - sum_m B_{2m+1}(1/2 + h) / (m (2m + 1) w^{2m}), h = (a - 1)/2, whose Bernoulli
// polynomials all hold h (h^2 - 1/4). What five terms leave out is below 2e-16.
void log_choose_ratio(const double* __restrict a, const double* __restrict x, const double* __restrict log_gamma,
                      size_t n, double* __restrict out) {
  HalfLogs half;
  for (size_t begin = 0; begin < n; begin += 64) {
    const size_t size = n - begin < 64 ? n - begin : 64;
    for (size_t i = 0; i < size; ++i) {
      const double h = multiply_add(0.5, a[begin + i], -0.5);
      const double q = h * h;
      const double w = multiply_add(0.5, a[begin + i], x[begin + i]);
      const Split p = split(w);
      const double f = p.m - 1.0;
      const double square = w * w;
      const double both = 1.0 / (square * (2.0 + f));
      const double y = (2.0 + f) * both;
      const double p2 = less(7.0 / 120, q, 1.0 / 10);
      const double p3 = multiply_add(q, less(1.0 / 14, q, 1.0 / 21), -31.0 / 1008);
      const double p4 = multiply_add(q, multiply_add(q, less(11.0 / 144, q, 1.0 / 36), -239.0 / 2880), 127.0 / 3840);
      const double low = multiply_add(q, less(13.0 / 165, q, 1.0 / 55), -41.0 / 264);
      const double p5 = multiply_add(q, multiply_add(q, low, 409.0 / 2640), -511.0 / 8448);
      const double all = multiply_add(y, multiply_add(y, multiply_add(y, multiply_add(y, p5, p4), p3), p2), -1.0 / 3);
      out[begin + i] = multiply_add(h * (q - 0.25), y * all, -log_gamma[begin + i]);
      half.set(i, f, (f * square) * both, p.e);
    }
    for (size_t i = 0; i < size; ++i) out[begin + i] = multiply_add(a[begin + i] - 1.0, half.log(i), out[begin + i]);
  }
}

void log_rising_table(const double* __restrict a, size_t n, const double* __restrict w, size_t n_counts,
                      double* __restrict out) {
  constexpr size_t block = 256;
  double product[block], scaled[block];
  for (size_t begin = 0; begin < n; begin += block) {
    const size_t size = n - begin < block ? n - begin : block;
    for (size_t i = 0; i < size; ++i) product[i] = 1.0;
    for (size_t x = 1; x < n_counts; ++x) {
      const double below = as_double(x - 1);
      double* __restrict row = out + x * n + begin;
      for (size_t i = 0; i < size; ++i) {
        product[i] *= a[begin + i] + below;
        scaled[i] = product[i] * w[x];
      }
      logs_of(scaled, size, row);
    }
  }
}

struct KeepBits {
  uint64_t of[2 * row_step] = {};  // all bits, then none
  constexpr KeepBits() {
    for (size_t i = 0; i < row_step; ++i) of[i] = ~uint64_t{0};
  }
};
constexpr KeepBits keep_bits;

// Sixteen elements at a time, of which those behind the row's end are masked: few rows take more than one step
// or two, where the exit of a loop over each row's own length would be mispredicted. Uses the vector extensions of GCC
// and clang because loops this short are not vectorised.
void row_sums(const double* __restrict term, const uint64_t* __restrict count, const size_t* __restrict first,
              size_t n_rows, RowSums* __restrict sums) {
#if defined(__AVX2__)
  constexpr size_t width = 4;
#else
  constexpr size_t width = 2;
#endif
  typedef double Doubles __attribute__((vector_size(8 * width)));
  typedef uint64_t Words __attribute__((vector_size(8 * width)));
  const auto load = [](const void* from) {
    Words words;
    __builtin_memcpy(&words, from, sizeof words);
    return words;
  };
  for (size_t r = 0; r < n_rows; ++r) {
    Doubles sum[2] = {};
    Doubles absolute[2] = {};
    Words total = {};
    size_t left = first[r + 1] - first[r];
    for (size_t at = first[r];; at += row_step, left -= row_step) {
      const uint64_t* const keep = keep_bits.of + row_step - (left < row_step ? left : row_step);
      for (size_t i = 0; i < row_step; i += width) {
        const Words kept = load(keep + i);
        const Words bits = load(term + at + i) & kept;
        sum[i / width % 2] += (Doubles)bits;
        absolute[i / width % 2] += (Doubles)(bits & (~uint64_t{0} >> 1));
        total += load(count + at + i) & kept;
      }
      if (left <= row_step) break;
    }
    sum[0] += sum[1];
    absolute[0] += absolute[1];
    sums[r] = {0.0, 0.0, 0};
    for (size_t i = 0; i < width; ++i) {
      sums[r].sum += sum[0][i];
      sums[r].absolute += absolute[0][i];
      sums[r].total += total[i];
    }
  }
}

void log_gamma(const double* __restrict a, size_t n, double* __restrict out) {
  for (size_t i = 0; i < n; ++i) out[i] = log_gamma_of(a[i]);
}

// Products for counts below 32, which most are; then the others.
void log_choose(const double* __restrict a, const double* __restrict x, size_t n,
                const double* __restrict inverse_factorials, double* __restrict out) {
  size_t where[long_block];
  double a_of[long_block], x_of[long_block], log_gammas[long_block], value[long_block];
  for (size_t begin = 0; begin < n; begin += long_block) {
    const size_t size = n - begin < long_block ? n - begin : long_block;
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
      logs_of(ob, size, ob);
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
    out[i] = x[i] < 1e-8 ? multiply_add(-0.5 * x[i], x[i], x[i]) : value;
  }
}

}  // namespace

extern const LikelihoodKernels likelihood_kernels;
const LikelihoodKernels likelihood_kernels{
    rising_terms,
    rising_terms_batch,
    value_weights,
    value_weights_batch,
    log_rising,
    digamma_difference,
    log_choose,
    log_choose_known,
    log_choose_ratio,
    log_rising_table,
    log_gamma,
    row_sums,
    {load_two_categories<std::int8_t>, load_two_categories<std::uint8_t>, load_two_categories<std::int16_t>,
     load_two_categories<std::uint16_t>, load_two_categories<std::int32_t>, load_two_categories<std::uint32_t>,
     load_two_categories<std::int64_t>, load_two_categories<std::uint64_t>},
    two_categories,
    one_category,
    log1p_each,
    {positive<std::int8_t>, positive<std::uint8_t>, positive<std::int16_t>, positive<std::uint16_t>,
     positive<std::int32_t>, positive<std::uint32_t>, positive<std::int64_t>, positive<std::uint64_t>},
    {gather<std::int8_t>, gather<std::uint8_t>, gather<std::int16_t>, gather<std::uint16_t>, gather<std::int32_t>,
     gather<std::uint32_t>, gather<std::int64_t>, gather<std::uint64_t>}};

}  // namespace HBM_LEVEL
}  // namespace hbm_fast
