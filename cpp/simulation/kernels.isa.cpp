// Vector passes of the simulator: plain loops over 64 lanes. simulation/kernels.hpp has the contract of each.
#include "simulation/kernels.hpp"

namespace hbm_fast {
namespace HBM_LEVEL {
namespace {

#include "math/elementary.inl"

constexpr std::size_t n = lane_count;
constexpr std::uint64_t golden = 0x9E3779B97F4A7C15u;

HBM_INLINE std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

HBM_INLINE std::uint64_t rotate(std::uint64_t x, int by) { return (x << by) | (x >> (64 - by)); }

HBM_INLINE std::uint64_t next(std::uint64_t& s0, std::uint64_t& s1, std::uint64_t& s2, std::uint64_t& s3) {
  const std::uint64_t result = rotate(s0 + s3, 23) + s0;
  const std::uint64_t t = s1 << 17;
  s2 ^= s0;
  s3 ^= s1;
  s1 ^= s2;
  s0 ^= s3;
  s2 ^= t;
  s3 = rotate(s3, 45);
  return result;
}

void next_words(LaneStates& lanes, std::uint64_t* out) {
  for (std::size_t i = 0; i < n; ++i) out[i] = next(lanes.s[0][i], lanes.s[1][i], lanes.s[2][i], lanes.s[3][i]);
}

// Lanes as the bits of a word.
struct LaneBits {
  std::uint64_t of[n] = {};
  constexpr LaneBits() {
    for (std::size_t i = 0; i < n; ++i) of[i] = std::uint64_t{1} << i;
  }
};
constexpr LaneBits lane_bit;

// The lanes whose bits are set, in order; how many.
HBM_INLINE std::size_t list_lanes(std::uint64_t bits, std::uint32_t* lanes) {
  std::size_t size = 0;
  for (; bits != 0; bits &= bits - 1) lanes[size++] = static_cast<std::uint32_t>(__builtin_ctzll(bits));
  return size;
}

HBM_INLINE void log_lanes(const double* x, double* log_x) { logs_of<n>(x, n, log_x); }

void seed(const std::uint64_t* a, const std::uint64_t* b, LaneStates* lanes) {
  for (std::size_t i = 0; i < n; ++i) lanes->s[0][i] = mix(a[i]) | 1;
  for (std::size_t i = 0; i < n; ++i) lanes->s[1][i] = mix(b[i]);
  for (std::size_t i = 0; i < n; ++i) lanes->s[2][i] = mix(a[i] + golden);
  for (std::size_t i = 0; i < n; ++i) lanes->s[3][i] = mix(b[i] + golden);
}

void draw(LaneStates* lanes, std::size_t n_rows, std::uint64_t* words) {
  for (std::size_t row = 0; row < n_rows; ++row) next_words(*lanes, words + row * n);
}

void log_exponentials(const std::uint64_t* words, std::size_t n_rows, double* rows) {
  alignas(64) double u[n];
  alignas(64) double e[n];
  for (std::size_t row = 0; row < n_rows; ++row) {
    for (std::size_t i = 0; i < n; ++i) u[i] = to_uniform(words[row * n + i]);
    log_lanes(u, e);
    for (std::size_t i = 0; i < n; ++i) e[i] = -e[i];
    log_lanes(e, rows + row * n);
  }
}

void concentrations(const double* log_alpha_beta, std::size_t size, double* out) {
  for (std::size_t i = 0; i < size; ++i) {
    const double x = log_alpha_beta[i];
    const double a = exp_of(x < largest_log_concentration ? x : largest_log_concentration);
    out[i] = a > smallest_concentration ? a : x == -__builtin_inf() ? 0.0 : smallest_concentration;
  }
}

bool exponentials(const double* x, std::size_t size, double* out) {
  std::uint64_t others = 0;
  for (std::size_t i = 0; i < size; ++i) {
    out[i] = exp_of(x[i]);
    const bool is_normal = (x[i] >= least_exponent) & (x[i] <= largest_exponent);
    others |= is_normal ? 0 : 1;
  }
  return others == 0;
}

void words(const std::uint64_t* a, const std::uint64_t* b, std::uint64_t* out) {
  for (std::size_t i = 0; i < n; ++i) out[i] = mix(mix(a[i]) + b[i]);
}

#include "simulation/counts.inl"
#include "simulation/gammas.inl"

void normalise_lanes(double* log_gamma, std::size_t n_categories, double* theta) {
  alignas(64) double largest[n];
  alignas(64) double rest[n];
  alignas(64) double log_sum[n];
  alignas(64) double below[n];
  for (std::size_t i = 0; i < n; ++i) {
    largest[i] = log_gamma[i];
    rest[i] = -1.0;  // the largest itself
  }
  for (std::size_t k = 1; k < n_categories; ++k) {
    const double* row = log_gamma + k * n;
    for (std::size_t i = 0; i < n; ++i) largest[i] = row[i] > largest[i] ? row[i] : largest[i];
  }
  // first the ones among the weights, which cancel the -1 exactly: the sum of the others keeps its digits
  for (std::size_t k = 0; k < n_categories; ++k) {
    const double* row = log_gamma + k * n;
    for (std::size_t i = 0; i < n; ++i) rest[i] += row[i] == largest[i] ? 1.0 : 0.0;
  }
  for (std::size_t k = 0; k < n_categories; ++k) {
    double* row = log_gamma + k * n;
    double* weight = theta + k * n;
    for (std::size_t i = 0; i < n; ++i) below[i] = row[i] - largest[i];
    exps_of<n>(below, n, weight);
    for (std::size_t i = 0; i < n; ++i) rest[i] += row[i] == largest[i] ? 0.0 : weight[i];
  }
  for (std::size_t i = 0; i < n; ++i) log_sum[i] = log1p_of(rest[i]);
  for (std::size_t k = 0; k < n_categories; ++k) {
    double* row = log_gamma + k * n;
    double* weight = theta + k * n;
    for (std::size_t i = 0; i < n; ++i) {
      row[i] = (row[i] - largest[i]) - log_sum[i];
      weight[i] /= 1.0 + rest[i];
    }
  }
}

void normalise_two(const double* log_gamma, double* log_theta, double* theta) {
  alignas(64) double gap[n];
  alignas(64) double weight[n];
  alignas(64) double sum[n];
  alignas(64) double log_sum[n];
  alignas(64) double below[n];
  for (std::size_t i = 0; i < n; ++i) {
    gap[i] = log_gamma[n + i] - log_gamma[i];
    below[i] = gap[i] < 0.0 ? gap[i] : -gap[i];
  }
  exps_of<n>(below, n, weight);  // of the smaller; the larger has one
  for (std::size_t i = 0; i < n; ++i) {
    const double less = weight[i] / (1.0 + weight[i]);
    const double more = 1.0 / (1.0 + weight[i]);
    theta[2 * i] = gap[i] < 0.0 ? more : less;
    theta[2 * i + 1] = gap[i] < 0.0 ? less : more;
  }
  for (std::size_t i = 0; i < n; ++i) sum[i] = 1.0 + weight[i];
  log_lanes(sum, log_sum);
  for (std::size_t i = 0; i < n; ++i) {
    const double of_both = log_sum[i] + (weight[i] - (sum[i] - 1.0)) / sum[i];  // log1p_of(weight)
    log_theta[2 * i] = (gap[i] < 0.0 ? 0.0 : -gap[i]) - of_both;
    log_theta[2 * i + 1] = (gap[i] < 0.0 ? gap[i] : 0.0) - of_both;
  }
}

void normalise_row(const double* log_gamma, std::size_t size, double* log_theta, double* theta) {
  // 64 partial sums, then a fixed tree: the same rounding at every vector width
  alignas(64) double part[n];
  alignas(64) double below[n];
  for (std::size_t i = 0; i < n; ++i) part[i] = log_gamma[0];
  for (std::size_t at = 0; at < size; at += n) {
    const double* block = log_gamma + at;
    const std::size_t end = size - at < n ? size - at : n;
    for (std::size_t i = 0; i < end; ++i) part[i] = block[i] > part[i] ? block[i] : part[i];
  }
  double largest = part[0];
  for (std::size_t i = 1; i < n; ++i) largest = part[i] > largest ? part[i] : largest;
  std::int64_t n_largest = 0;
  for (std::size_t i = 0; i < size; ++i) n_largest += log_gamma[i] == largest ? 1 : 0;
  for (std::size_t i = 0; i < n; ++i) part[i] = 0.0;
  for (std::size_t at = 0; at < size; at += n) {
    const double* block = log_gamma + at;
    double* weight = theta + at;
    const std::size_t end = size - at < n ? size - at : n;
    for (std::size_t i = 0; i < end; ++i) below[i] = block[i] - largest;
    exps_of<n>(below, end, weight);
    for (std::size_t i = 0; i < end; ++i) part[i] += block[i] == largest ? 0.0 : weight[i];
  }
  for (std::size_t half = n / 2; half > 0; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) part[i] += part[i + half];
  }
  const double rest = static_cast<double>(n_largest - 1) + part[0];
  const double log_sum = log1p_of(rest);
  const double scale = 1.0 + rest;
  if (log_theta == nullptr) {
    for (std::size_t i = 0; i < size; ++i) theta[i] /= scale;
    return;
  }
  for (std::size_t i = 0; i < size; ++i) {
    theta[i] /= scale;
    log_theta[i] = (log_gamma[i] - largest) - log_sum;
  }
}

}  // namespace

extern const SimulateKernels simulate_kernels = {
    seed,      draw,    log_exponentials, concentrations, exponentials, words,           urn,           polya,
    binomials, prepare, spread,           gamma_pair,     gamma_tiny,   normalise_lanes, normalise_two, normalise_row};

}  // namespace HBM_LEVEL
}  // namespace hbm_fast
